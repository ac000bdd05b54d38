"""A look inside a training at rest, on rows that somebody brings: its next step, and whether its gradient is right."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.data.errors import InvalidInstance
from core.data.target_values import targets_of
from core.data.targets import Labels
from core.models.checkpoint import Saved
from core.models.model import Model
from core.nn.insight.gradient_check import LayerCheck, check_layers
from core.nn.insight.step_inspection import StepInspection, look
from core.nn.layers.embedding import NoSuchEmbedding
from core.nn.losses.base import Targets
from core.nn.losses.contrastive import OfPairs
from core.nn.losses.ctc import Ctc, NoAlignment
from core.nn.optimizers.wrappers import Optimizer

VECTORS = 9
"""Copies of the weights that a look holds at a time, at most: read, aside, before, gradient, scratch, moments, best."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a look may take at most."""

    bytes: int
    """Memory, by the net's plan."""
    numbers: int = 1_000_000
    """Numbers of all arrays that are asked for together."""
    operations: int = 20_000_000_000
    """Floating-point operations of a check, by the net's plan."""


def look_into(
    saved: Saved,
    optimizer: Optimizer,
    steps: int,
    instances: Sequence[Any],
    targets: Sequence[Any],
    *,
    arrays: bool,
    bounds: Bounds,
) -> StepInspection:
    """What the next of `steps` steps would do, were these raw records and targets its batch; nothing is changed.

    Raises `InvalidInstance` where a record or a target does not fit, or they are more than the bounds allow.
    """
    model = Model.of(saved, "last")
    _within(model, len(instances), bounds, arrays=arrays)
    x, y = _batch(model, instances, targets)
    state = saved.state()
    rate = state.rate_factor * optimizer.learning_rate.at(state.step, max(steps, state.step + 1))
    with _fitting():
        return look(model.network, model.loss, optimizer, state, x, y, rate=rate, arrays=arrays)


def check_into(saved: Saved, instances: Sequence[Any], targets: Sequence[Any], bounds: Bounds) -> list[LayerCheck]:
    """Hold the gradient of these raw records and targets against finite differences, at the weights as they stand.

    Raises `InvalidInstance` where a record or a target does not fit, or they are more than the bounds allow.
    """
    model = Model.of(saved, "last")
    _within(model, len(instances), bounds, arrays=False, width=8)
    _soon(model, len(instances), bounds)
    x, y = _batch(model, instances, targets)
    weights, statistics = saved.learnt("last")
    with _fitting(), np.errstate(all="ignore"):
        return check_layers(model.network, model.loss, x, y, weights, statistics)


def _batch(model: Model, instances: Sequence[Any], targets: Sequence[Any]) -> tuple[Any, Any]:
    x, _ = model.features.encode(instances)
    if len(targets) != len(x):
        raise InvalidInstance(0, "/targets", f"has {len(targets)} rows where instances has {len(x)}: give one for each")
    return x, targets_of(model.target, targets, model.network.output_shape[:-1])


@contextmanager
def _fitting() -> Iterator[None]:
    """What a pass finds wrong with the batch is told of the batch."""
    try:
        yield
    except NoSuchEmbedding as error:
        raise InvalidInstance(0, "/instances", str(error)) from None
    except NoAlignment as error:
        raise InvalidInstance(error.rows[0], f"/targets/{error.rows[0]}", str(error)) from None


def _soon(model: Model, rows: int, bounds: Bounds) -> None:
    plans = list(model.network.plan.every())
    passes = 3 + 2 * sum(len(plan.weights) for plan in plans)
    operations = passes * (rows * sum(plan.flops for plan in plans) + model.network.parameters)
    if operations > bounds.operations:
        message = f"takes about {operations:,} operations, and {bounds.operations:,} are allowed: give fewer rows"
        raise InvalidInstance(0, "/instances", message)


def _within(model: Model, rows: int, bounds: Bounds, *, arrays: bool, width: int = 4) -> None:
    parameters, plans = model.network.parameters, list(model.network.plan.every())
    # The step's own arrays, and beside them a copy of each output and of its gradient.
    floats = VECTORS * parameters + sum(3 * rows * plan.activation_size + plan.scratch for plan in plans)
    if (wanted := width * floats + 2 * _scratch_bytes(model, rows)) > bounds.bytes:  # that of a second pass too
        message = f"takes about {wanted:,} bytes for {rows} rows, and {bounds.bytes:,} are allowed: give fewer rows"
        raise InvalidInstance(0, "/instances", message)
    if arrays and 2 * parameters + rows * sum(plan.activation_size for plan in plans) > bounds.numbers:
        message = f"would be more than {bounds.numbers:,} numbers: give fewer rows, or leave arrays out"
        raise InvalidInstance(0, "/arrays", message)


def _scratch_bytes(model: Model, rows: int) -> int:
    """The bytes in which a loss lays labels over steps or pairs the rows."""
    if not isinstance(model.loss, Ctc | OfPairs):
        return 0
    labels = model.target.most if isinstance(model.target, Labels) else 1
    return model.loss.scratch_bytes(rows, model.network.output_shape, Targets(shape=(labels,)))
