"""A mask goes with its steps: each branch gets the one that came in, and what emits other steps drops it."""

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


class Marker(NamedTuple):
    """Passes its input on, and writes down the mask that it sees; another mask takes its place if asked for."""

    seen: list[Any]
    sets: Any = None
    type: str = "marker"

    def plan(self, shape: Shape) -> Plan:
        """No weights."""
        return Plan(shape)

    def forward(self, x: Array, views: Views, run: PassContext) -> tuple[Array, Backward]:
        """What comes in."""
        self.seen.append(run.mask)
        if self.sets is not None:
            run.mask = self.sets
        return x, lambda d_y: d_y


def through(*layers: Any) -> Any:
    """The mask after a pass of two rows `(4, 3)` through the layers, the first of which sets one."""
    beginning: Any = Marker([], sets=MASK)
    network = Network(sequential(beginning, *layers), (4, 3))
    weights, statistics = network.initialize(np.random.default_rng(0))
    run = inference()
    network.forward(np.ones((2, 4, 3), np.float32), network.views(weights, statistics), run)
    return run.mask


SAME = ActivationLayer(activation=Dense(units=1).activation)
STANDS: list[Layer] = [
    Dense(units=2),
    Reshape(target_shape=(4, 3, 1)),
    Permute(dims=(1, 2)),
    Residual(layer=SAME),
    Residual(layer=sequential(Cropping1D(cropping=(0, 1)), Permute(dims=(2, 1)), Dense(units=4), Permute(dims=(2, 1)))),
    Parallel(branches=(Dense(units=2), Dense(units=1))),
    Repeat(layer=Dense(units=3), n=2),
    TimeDistributed(layer=Dense(units=2)),
]
FALLS: list[Layer] = [
    Flatten(),
    Reshape(target_shape=(3, 4)),
    Permute(dims=(2, 1)),
    MaxPooling1D(),
    GlobalMaxPooling1D(),
    Parallel(branches=(GlobalMaxPooling1D(), Flatten())),
    Repeat(layer=Cropping1D(cropping=(0, 1)), n=2),
    sequential(Flatten(), Dense(units=4)),
]


@pytest.mark.parametrize("layer", STANDS, ids=lambda layer: layer.type)
def test_a_mask_stands_while_the_steps_do(layer: Any) -> None:
    assert through(layer) is MASK


@pytest.mark.parametrize("layer", FALLS, ids=lambda layer: layer.type)
def test_a_mask_falls_with_its_steps(layer: Any) -> None:
    assert through(layer) is None


def test_each_branch_begins_with_the_mask_that_came_in() -> None:
    seen: list[Any] = []
    branch: Any = Marker(seen, sets=~MASK)
    assert through(Parallel(branches=(branch, branch)), Residual(layer=branch, projection=branch)) is MASK
    assert all(mask is MASK for mask in seen)
    assert len(seen) == 4


def test_the_steps_of_time_distributed_are_rows_without_a_mask() -> None:
    seen: list[Any] = []
    inner: Any = Marker(seen)
    assert through(TimeDistributed(layer=inner)) is MASK
    assert seen == [None]


def test_every_pass_begins_without_a_mask() -> None:
    seen: list[Any] = []
    first: Any = Marker(seen, sets=MASK)
    network = Network(sequential(first), (4, 3))
    run = inference()
    for _ in range(2):
        network.forward(
            np.ones((2, 4, 3), np.float32), network.views(*network.initialize(np.random.default_rng(0))), run
        )
    assert seen == [None, None]
