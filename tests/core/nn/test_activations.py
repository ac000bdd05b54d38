"""Activations: against PyTorch, and their accuracy at extreme inputs."""

import math
from typing import Any

import numpy as np
import pytest

from core.nn import activations
from core.nn.activations import Activation, Gelu, Softmax
from core.nn.step.context import PassContext

ACTIVATIONS: list[tuple[Activation, str, dict[str, Any]]] = [
    (activations.Linear(), "Identity", {}),
    (activations.Relu(), "ReLU", {}),
    (activations.Relu(max_value=6), "ReLU6", {}),
    (activations.Relu(negative_slope=0.3), "LeakyReLU", {"negative_slope": 0.3}),
    (activations.LeakyRelu(), "LeakyReLU", {"negative_slope": 0.2}),
    (activations.Elu(alpha=0.7), "ELU", {"alpha": 0.7}),
    (activations.Selu(), "SELU", {}),
    (activations.Tanh(), "Tanh", {}),
    (activations.Sigmoid(), "Sigmoid", {}),
    (activations.HardTanh(), "Hardtanh", {}),
    (activations.HardSigmoid(), "Hardsigmoid", {}),
    (activations.Softsign(), "Softsign", {}),
    (activations.Softplus(), "Softplus", {"threshold": 1000}),
    (activations.Gelu(), "GELU", {}),
    (activations.Gelu(approximate=True), "GELU", {"approximate": "tanh"}),
    (activations.Silu(), "SiLU", {}),
    (activations.Mish(), "Mish", {}),
    (activations.Softmax(), "Softmax", {"dim": -1}),
    (activations.LogSoftmax(), "LogSoftmax", {"dim": -1}),
]


@pytest.mark.parametrize(("activation", "name", "options"), ACTIVATIONS, ids=str)
@pytest.mark.parametrize("in_place", [False, True])
def test_activation_value_and_gradient_match_torch(
    torch: Any, activation: Activation, name: str, options: dict[str, Any], in_place: bool
) -> None:
    rng = np.random.default_rng(5)
    z, d_out = rng.uniform(-30, 30, (50, 9)), rng.standard_normal((50, 9))
    theirs = torch.tensor(z, requires_grad=True)
    expected = getattr(torch.nn, name)(**options)(theirs)
    expected.backward(torch.from_numpy(d_out.copy()))
    out = z if in_place else np.empty_like(z)
    d_z = activation.forward(z, out, PassContext(np.float64, training=True))(d_out)
    np.testing.assert_allclose(out, expected.detach().numpy(), rtol=1e-7, atol=1e-13)
    np.testing.assert_allclose(d_z, theirs.grad.numpy(), rtol=1e-7, atol=1e-13)


def test_gelu_in_float64_is_exact() -> None:
    z = np.linspace(-30, 30, 1001)
    out = np.empty_like(z)
    Gelu().forward(z, out, PassContext(np.float64, training=True))
    expected = np.array([float(v) * 0.5 * math.erfc(-v / math.sqrt(2)) for v in z])
    np.testing.assert_allclose(out, expected, rtol=1e-12, atol=1e-15)


def test_gelu_in_float32_is_within_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.nn.activations.BLOCK_SIZE", 1000)  # the last block is shorter
    z = np.linspace(-12, 12, 24_010, dtype=np.float32).reshape(-1, 10)[::-1]
    array = np.zeros((len(z), 20), np.float32)
    out = array[:, 5:15]  # a view, like a gate of a recurrent layer
    slope = Gelu().forward(z, out, PassContext(training=True))(np.ones_like(z))
    exact = z.astype(np.float64)
    cdf = np.vectorize(math.erfc)(-exact / math.sqrt(2)) / 2
    density = np.exp(-exact * exact / 2) / math.sqrt(2 * math.pi)
    np.testing.assert_allclose(out, exact * cdf, rtol=1.2e-7, atol=2e-7)
    np.testing.assert_allclose(slope, cdf + exact * density, rtol=1.2e-7, atol=2e-7)
    assert not array[:, :5].any()
    assert not array[:, 15:].any()


def test_gelu_propagates_nan_and_infinity() -> None:
    z = np.array([[np.nan, np.inf, 3e38, -3e38, 1e20]], np.float32)
    out = np.empty_like(z)
    with np.errstate(invalid="ignore"):
        Gelu().forward(z, out, PassContext(training=True))
    np.testing.assert_array_equal(out, np.array([[np.nan, np.inf, 3e38, 0, 1e20]], np.float32))


def test_softmax_of_huge_logits_is_finite() -> None:
    z = np.array([[1e30, 0.0, -1e30], [5.0, 5.0, 5.0]])
    out = np.empty_like(z)
    Softmax().forward(z, out, PassContext(np.float64, training=True))
    np.testing.assert_allclose(out, [[1.0, 0.0, 0.0], [1 / 3, 1 / 3, 1 / 3]])
