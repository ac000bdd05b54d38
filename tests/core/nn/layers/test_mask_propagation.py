"""Propagation of masks: each branch gets the incoming mask, and a layer that emits other steps drops it."""

from typing import Any, NamedTuple

import numpy as np
import pytest

from core.nn.arrays import Array, Backward, Shape
from core.nn.layers.activation import ActivationLayer
from core.nn.layers.composite import Layer, Parallel, Repeat, Residual, TimeDistributed
from core.nn.layers.dense import Dense
from core.nn.layers.global_pooling import GlobalMaxPooling1D
from core.nn.layers.pooling import MaxPooling1D
from core.nn.layers.reshaping import Flatten, Permute, Reshape
from core.nn.layers.resizing import Cropping1D
from core.nn.network import Network
from core.nn.plan import Plan, Views
from core.nn.step.context import PassContext, inference
from tests.core.nn.cases import sequential

MASK = np.array([[True, True, True, True], [True, True, False, False]])


class MaskRecorder(NamedTuple):
    """An identity layer that records the mask it gets, and replaces it if `replacement` is given."""

    masks: list[Any]
    replacement: Any = None
    type: str = "mask_recorder"

    def plan(self, shape: Shape) -> Plan:
        """Plan a layer without weights."""
        return Plan(shape)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """Return the input."""
        self.masks.append(ctx.mask)
        if self.replacement is not None:
            ctx.mask = self.replacement
        return x, lambda d_y: d_y


def mask_after(*layers: Any) -> Any:
    """Return the mask after a pass of two rows `(4, 3)` through the layers, with `MASK` set before them."""
    first: Any = MaskRecorder([], replacement=MASK)
    network = Network(sequential(first, *layers), (4, 3))
    weights, statistics = network.initialize(np.random.default_rng(0))
    ctx = inference()
    network.forward(np.ones((2, 4, 3), np.float32), network.views(weights, statistics), ctx)
    return ctx.mask


IDENTITY = ActivationLayer(activation=Dense(units=1).activation)
KEEPING: list[Layer] = [
    Dense(units=2),
    Reshape(target_shape=(4, 3, 1)),
    Permute(dims=(1, 2)),
    Residual(layer=IDENTITY),
    Residual(layer=sequential(Cropping1D(cropping=(0, 1)), Permute(dims=(2, 1)), Dense(units=4), Permute(dims=(2, 1)))),
    Parallel(branches=(Dense(units=2), Dense(units=1))),
    Repeat(layer=Dense(units=3), n=2),
    TimeDistributed(layer=Dense(units=2)),
]
DROPPING: list[Layer] = [
    Flatten(),
    Reshape(target_shape=(3, 4)),
    Permute(dims=(2, 1)),
    MaxPooling1D(),
    GlobalMaxPooling1D(),
    Parallel(branches=(GlobalMaxPooling1D(), Flatten())),
    Repeat(layer=Cropping1D(cropping=(0, 1)), n=2),
    sequential(Flatten(), Dense(units=4)),
]


@pytest.mark.parametrize("layer", KEEPING, ids=lambda layer: layer.type)
def test_mask_is_kept_while_steps_are_the_same(layer: Any) -> None:
    assert mask_after(layer) is MASK


@pytest.mark.parametrize("layer", DROPPING, ids=lambda layer: layer.type)
def test_mask_is_dropped_when_steps_change(layer: Any) -> None:
    assert mask_after(layer) is None


def test_each_branch_gets_the_incoming_mask() -> None:
    masks: list[Any] = []
    branch: Any = MaskRecorder(masks, replacement=~MASK)
    assert mask_after(Parallel(branches=(branch, branch)), Residual(layer=branch, projection=branch)) is MASK
    assert all(mask is MASK for mask in masks)
    assert len(masks) == 4


def test_time_distributed_layer_gets_no_mask() -> None:
    masks: list[Any] = []
    inner: Any = MaskRecorder(masks)
    assert mask_after(TimeDistributed(layer=inner)) is MASK
    assert masks == [None]


def test_every_pass_starts_without_a_mask() -> None:
    masks: list[Any] = []
    first: Any = MaskRecorder(masks, replacement=MASK)
    network = Network(sequential(first), (4, 3))
    ctx = inference()
    for _ in range(2):
        network.forward(
            np.ones((2, 4, 3), np.float32), network.views(*network.initialize(np.random.default_rng(0))), ctx
        )
    assert masks == [None, None]
