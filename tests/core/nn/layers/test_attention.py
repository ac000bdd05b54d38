"""Attention: causality, masks, rotary positions and grouped queries."""

from typing import Any

import numpy as np
import pytest

from core.nn.arrays import Array
from core.nn.layers.attention import MultiHeadAttention
from core.nn.network import Network
from core.nn.plan import ShapeMismatch
from core.nn.step.context import inference
from tests.core.nn.cases import sequential

STEPS, FEATURES = 6, 4


def outputs(layer: MultiHeadAttention, x: Array, mask: Any = None) -> Array:
    """Return the layer's outputs for `x`, with the same weights at each call."""
    network = Network(sequential(layer), x.shape[1:])
    weights, statistics = network.initialize(np.random.default_rng(3), np.float64)
    ctx = inference(np.float64)
    ctx.mask = mask
    views = network.views(weights, statistics).parts[0]
    return layer.forward(x, views, ctx)[0]


def sequences(rows: int = 2, steps: int = STEPS) -> Array:
    """Return random sequences."""
    return np.random.default_rng(1).standard_normal((rows, steps, FEATURES))


def test_attention_without_positions_is_permutation_equivariant() -> None:
    x, order = sequences(), np.array([3, 0, 5, 1, 4, 2])
    layer = MultiHeadAttention(num_heads=2, key_dim=3)
    np.testing.assert_allclose(outputs(layer, x[:, order]), outputs(layer, x)[:, order], atol=1e-12)


@pytest.mark.parametrize("rotary", [False, True])
def test_causal_attention_ignores_later_steps(rotary: bool) -> None:
    layer = MultiHeadAttention(num_heads=2, key_dim=4, causal=True, rotary=rotary)
    x = sequences()
    changed = x.copy()
    changed[:, 4:] += 5
    before, after = outputs(layer, x), outputs(layer, changed)
    np.testing.assert_array_equal(before[:, :4], after[:, :4])
    assert not np.allclose(before[:, 4:], after[:, 4:])


def test_masked_steps_have_no_influence() -> None:
    layer = MultiHeadAttention(num_heads=2, key_dim=3)
    x, mask = sequences(), np.ones((2, STEPS), np.bool_)
    mask[:, 4:] = False
    unmasked = outputs(layer, x, mask)[:, :4]
    np.testing.assert_allclose(unmasked, outputs(layer, x[:, :4]), atol=1e-12)


def test_fully_masked_sequence_has_finite_outputs() -> None:
    layer = MultiHeadAttention(num_heads=1, key_dim=3)
    assert np.isfinite(outputs(layer, sequences(), np.zeros((2, STEPS), np.bool_))).all()


def test_rotary_attention_depends_on_relative_positions_only() -> None:
    layer = MultiHeadAttention(num_heads=2, key_dim=4, rotary=True)
    x = sequences(steps=3)
    shifted = np.zeros((2, 9, FEATURES))
    shifted[:, 5:8] = x
    mask = np.zeros((2, 9), np.bool_)
    mask[:, 5:8] = True
    np.testing.assert_allclose(outputs(layer, shifted, mask)[:, 5:8], outputs(layer, x), atol=1e-12)
    assert not np.allclose(outputs(layer, x[:, ::-1])[:, ::-1], outputs(layer, x))


def test_shared_kv_head_equals_repeated_kv_heads() -> None:
    shared = MultiHeadAttention(num_heads=2, key_dim=3, num_kv_heads=1, use_bias=False)
    x = sequences()
    network = Network(sequential(shared), x.shape[1:])
    weights, statistics = network.initialize(np.random.default_rng(3), np.float64)
    views = network.views(weights, statistics).parts[0]
    repeated = MultiHeadAttention(num_heads=2, key_dim=3, use_bias=False)
    kernel = views.weights["kernel"]
    repeated_kernel = np.concatenate([kernel[:, :6], *2 * [kernel[:, 6:9]], *2 * [kernel[:, 9:]]], axis=1)
    repeated_views = Network(sequential(repeated), x.shape[1:]).views(
        np.concatenate([repeated_kernel.ravel(), views.weights["output_kernel"].ravel()]), statistics
    )
    expected = repeated.forward(x, repeated_views.parts[0], inference(np.float64))[0]
    np.testing.assert_allclose(shared.forward(x, views, inference(np.float64))[0], expected)


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (MultiHeadAttention(num_heads=2, key_dim=3), (4,), "put a reshape before it"),
        (MultiHeadAttention(num_heads=3, key_dim=2, num_kv_heads=2), (4, 5), "multiple"),
        (MultiHeadAttention(num_heads=2, key_dim=3, rotary=True), (4, 5), "even"),
    ],
)
def test_invalid_attention_is_refused(layer: MultiHeadAttention, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ShapeMismatch, match=message):
        layer.plan(shape)
