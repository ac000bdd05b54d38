"""The backward pass of every layer, activation and loss against finite differences in float64."""

import itertools
from typing import Any

import numpy as np
import pytest

from core.nn.activations import Activation, Tanh
from core.nn.insight.gradient_check import check_gradient
from core.nn.layers.activation import ActivationLayer
from core.nn.layers.dense import Dense
from core.nn.losses.regression import MeanSquaredError
from core.nn.network import Network
from tests.core.nn.cases import ACTIVATIONS, LAYERS, LOSSES, LayerCase, LossCase, random_targets, sequential

TOLERANCE = 1e-6
BATCHES = [1, 7]


BOUNDED = [case for case in LOSSES if case.loss.type != "poisson"]  # whose link is an exponential


@pytest.mark.parametrize("case", LAYERS, ids=lambda case: case.layer.type)
@pytest.mark.parametrize("batch", BATCHES)
def test_layer_gradient_matches_finite_differences(case: LayerCase, batch: int) -> None:
    rng = np.random.default_rng(1)
    network = Network(sequential(case.layer), case.input_shape)
    x = case.inputs(batch, rng)
    targets = rng.standard_normal((batch, *case.output_shape))
    for found in check_gradient(network, MeanSquaredError(), x, targets, quantities=not case.classes).values():
        assert found.error <= TOLERANCE, found


@pytest.mark.parametrize(
    "case", [c for c in LAYERS if c.input_shape and not c.classes], ids=lambda case: case.layer.type
)
def test_inner_layer_gradient_matches_finite_differences(case: LayerCase) -> None:
    rng = np.random.default_rng(2)
    before = Dense(units=case.input_shape[-1], activation=Tanh())
    network = Network(sequential(before, case.layer, Dense(units=2)), (*case.input_shape[:-1], 3))
    x = rng.standard_normal((5, *network.input_shape))
    targets = rng.standard_normal((5, *network.output_shape))
    for found in check_gradient(network, MeanSquaredError(), x, targets).values():
        assert found.error <= TOLERANCE, found


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda a: f"{a}")
@pytest.mark.parametrize("scale", [1.0, 5.0])
def test_activation_gradient_matches_finite_differences(activation: Activation, scale: float) -> None:
    rng = np.random.default_rng(3)
    network = Network(sequential(ActivationLayer(activation=activation)), (6,))
    x, targets = scale * rng.standard_normal((4, 6)), rng.standard_normal((4, 6))
    assert check_gradient(network, MeanSquaredError(), x, targets)["input"].error <= TOLERANCE


@pytest.mark.parametrize("case", LOSSES, ids=lambda case: f"{case.loss.type}-{case.targets}")
@pytest.mark.parametrize("batch", BATCHES)
def test_loss_gradient_matches_finite_differences(case: LossCase, batch: int) -> None:
    rng = np.random.default_rng(4)
    network = Network(sequential(Dense(units=case.output_shape[-1])), (*case.output_shape[:-1], 3))
    x = rng.standard_normal((batch, *case.output_shape[:-1], 3))
    targets = random_targets(case.targets, batch, case.output_shape, rng)
    for found in check_gradient(network, case.loss, x, targets).values():
        assert found.error <= TOLERANCE, found


@pytest.mark.parametrize(("case", "size"), list(itertools.product(BOUNDED, [1e3, -1e3])), ids=str)
def test_loss_is_finite_for_huge_outputs(case: LossCase, size: float) -> None:
    rng = np.random.default_rng(5)
    network = Network(sequential(Dense(units=case.output_shape[-1])), (*case.output_shape[:-1], 3))
    x = size * rng.standard_normal((4, *case.output_shape[:-1], 3))
    targets = random_targets(case.targets, 4, case.output_shape, rng)
    found = check_gradient(network, case.loss, x, targets)["weights"]
    assert np.isfinite(found.backward)
    assert np.isfinite(found.differences)


def test_wrong_gradient_is_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    right = Tanh.forward

    def wrong(self: Tanh, z: Any, out: Any, run: Any) -> Any:
        backward = right(self, z, out, run)
        return lambda d_out: backward(d_out) * 1.001

    monkeypatch.setattr(Tanh, "forward", wrong)
    network = Network(sequential(ActivationLayer(activation=Tanh())), (6,))
    rng = np.random.default_rng(6)
    x, targets = rng.standard_normal((4, 6)), rng.standard_normal((4, 6))
    assert check_gradient(network, MeanSquaredError(), x, targets)["input"].error > TOLERANCE
