"""A look inside a training at rest: its next step, taken aside on rows that somebody brings."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.data.batch import targets_of
from core.data.errors import InvalidInstance
from core.data.targets import Labels
from core.models.checkpoint import Saved
from core.models.model import Model
from core.nn.inspection import Look, look
from core.nn.layers.embedding import NoSuchEmbedding
from core.nn.losses.kind import Targets
from core.nn.losses.pairs import OfPairs
from core.nn.losses.sequences import Ctc, NoAlignment
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


def look_into(
    saved: Saved,
    optimizer: Optimizer,
    steps: int,
    instances: Sequence[Any],
    targets: Sequence[Any],
    *,
    arrays: bool,
    bounds: Bounds,
) -> Look:
    """What the next of `steps` steps would do, were these raw records and targets its batch; nothing is changed.

    Raises `InvalidInstance` where a record or a target does not fit, or they are more than the bounds allow.
    """
    model = Model.of(saved, "last")
    x, _ = model.features.encode(instances)
    if len(targets) != len(x):
        raise InvalidInstance(0, "/targets", f"has {len(targets)} rows where instances has {len(x)}: give one for each")
    _within(model, len(x), bounds, arrays=arrays)
    output = model.network.output_shape
    y = targets_of(model.target, targets, output[:-1])
    state = saved.state()
    rate = state.rate_factor * optimizer.learning_rate.at(state.step, max(steps, state.step + 1))
    try:
        return look(model.network, model.loss, optimizer, state, x, y, rate=rate, arrays=arrays)
    except NoSuchEmbedding as error:
        raise InvalidInstance(0, "/instances", str(error)) from None
    except NoAlignment as error:
        raise InvalidInstance(error.rows[0], f"/targets/{error.rows[0]}", str(error)) from None


def _within(model: Model, rows: int, bounds: Bounds, *, arrays: bool) -> None:
    parameters, plans = model.network.parameters, list(model.network.plan.every())
    # The step's own arrays, and beside them a copy of each output and of its gradient.
    floats = VECTORS * parameters + sum(3 * rows * plan.floats + plan.scratch for plan in plans)
    if (wanted := 4 * floats + 2 * _scratch_bytes(model, rows)) > bounds.bytes:  # that of a second pass too
        message = f"takes about {wanted:,} bytes for {rows} rows, and {bounds.bytes:,} are allowed: give fewer rows"
        raise InvalidInstance(0, "/instances", message)
    if arrays and 2 * parameters + rows * sum(plan.floats for plan in plans) > bounds.numbers:
        message = f"would be more than {bounds.numbers:,} numbers: give fewer rows, or leave arrays out"
        raise InvalidInstance(0, "/arrays", message)


def _scratch_bytes(model: Model, rows: int) -> int:
    """The bytes in which a loss lays labels over steps or pairs the rows."""
    if not isinstance(model.loss, Ctc | OfPairs):
        return 0
    labels = model.target.most if isinstance(model.target, Labels) else 1
    return model.loss.scratch_bytes(rows, model.network.output_shape, Targets(shape=(labels,)))
