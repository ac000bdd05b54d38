"""What attention may see, and what it may not, whatever its weights are."""

from typing import Any

import numpy as np
import pytest

from core.nn.arrays import Array
from core.nn.layers.attention import MultiHeadAttention
from core.nn.network import Network
from core.nn.plan import ShapeMismatch
from core.nn.step.context import Arena, PassContext
from tests.core.nn.cases import sequential

STEPS, FEATURES = 6, 4


def attended(layer: MultiHeadAttention, x: Array, mask: Any = None) -> Array:
    """What the layer emits for `x`, with the same weights at each call."""
    network = Network(sequential(layer), x.shape[1:])
    weights, statistics = network.initialize(np.random.default_rng(3), np.float64)
    run = PassContext(Arena(np.float64), training=False)
    run.mask = mask
    view = network.views(weights, statistics).parts[0]
    return layer.forward(x, view, run)[0]


def some(rows: int = 2, steps: int = STEPS) -> Array:
    """Sequences."""
    return np.random.default_rng(1).standard_normal((rows, steps, FEATURES))


def test_without_positions_an_order_is_nothing() -> None:
    x, order = some(), np.array([3, 0, 5, 1, 4, 2])
    layer = MultiHeadAttention(num_heads=2, key_dim=3)
    np.testing.assert_allclose(attended(layer, x[:, order]), attended(layer, x)[:, order], atol=1e-12)


@pytest.mark.parametrize("rotary", [False, True])
def test_what_comes_later_changes_nothing_before(rotary: bool) -> None:
    layer = MultiHeadAttention(num_heads=2, key_dim=4, causal=True, rotary=rotary)
    x = some()
    changed = x.copy()
    changed[:, 4:] += 5
    before, after = attended(layer, x), attended(layer, changed)
    np.testing.assert_array_equal(before[:, :4], after[:, :4])
    assert not np.allclose(before[:, 4:], after[:, 4:])


def test_a_step_that_is_not_there_has_no_influence() -> None:
    layer = MultiHeadAttention(num_heads=2, key_dim=3)
    x, mask = some(), np.ones((2, STEPS), np.bool_)
    mask[:, 4:] = False
    there = attended(layer, x, mask)[:, :4]
    np.testing.assert_allclose(there, attended(layer, x[:, :4]), atol=1e-12)


def test_where_nothing_may_be_seen_the_answer_is_a_number() -> None:
    layer = MultiHeadAttention(num_heads=1, key_dim=3)
    assert np.isfinite(attended(layer, some(), np.zeros((2, STEPS), np.bool_))).all()


def test_turned_questions_know_the_distance_alone() -> None:
    layer = MultiHeadAttention(num_heads=2, key_dim=4, rotary=True)
    seen = some(steps=3)
    far = np.zeros((2, 9, FEATURES))
    far[:, 5:8] = seen  # the same three, later
    mask = np.zeros((2, 9), np.bool_)
    mask[:, 5:8] = True
    np.testing.assert_allclose(attended(layer, far, mask)[:, 5:8], attended(layer, seen), atol=1e-12)
    assert not np.allclose(attended(layer, seen[:, ::-1])[:, ::-1], attended(layer, seen))


def test_heads_with_one_source_are_those_with_equal_ones() -> None:
    shared = MultiHeadAttention(num_heads=2, key_dim=3, num_kv_heads=1, use_bias=False)
    x = some()
    network = Network(sequential(shared), x.shape[1:])
    weights, statistics = network.initialize(np.random.default_rng(3), np.float64)
    views = network.views(weights, statistics).parts[0]
    own = MultiHeadAttention(num_heads=2, key_dim=3, use_bias=False)
    kernel = views.weights["kernel"]
    twice = np.concatenate([kernel[:, :6], *2 * [kernel[:, 6:9]], *2 * [kernel[:, 9:]]], axis=1)
    views_of_own = Network(sequential(own), x.shape[1:]).views(
        np.concatenate([twice.ravel(), views.weights["output_kernel"].ravel()]), statistics
    )
    run = PassContext(Arena(np.float64), training=False)
    expected = own.forward(x, views_of_own.parts[0], run)[0]
    np.testing.assert_allclose(shared.forward(x, views, PassContext(Arena(np.float64), training=False))[0], expected)


@pytest.mark.parametrize(
    ("layer", "shape", "remedy"),
    [
        (MultiHeadAttention(num_heads=2, key_dim=3), (4,), "put a reshape before it"),
        (MultiHeadAttention(num_heads=3, key_dim=2, num_kv_heads=2), (4, 5), "multiple"),
        (MultiHeadAttention(num_heads=2, key_dim=3, rotary=True), (4, 5), "even"),
    ],
)
def test_what_cannot_be_is_refused(layer: MultiHeadAttention, shape: tuple[int, ...], remedy: str) -> None:
    with pytest.raises(ShapeMismatch, match=remedy):
        layer.plan(shape)
