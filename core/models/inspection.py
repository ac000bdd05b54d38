"""Inspection of a checkpoint on rows from a client: the next training step, and a gradient check."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.data.errors import InvalidInstance
from core.data.targets.labels import Labels
from core.models.checkpoint import CheckpointData
from core.models.model import Model
from core.nn.insight.gradient_check import LayerCheck, check_layers
from core.nn.insight.step_inspection import StepInspection, inspect_step
from core.nn.layers.embedding import NoSuchEmbedding
from core.nn.losses.base import Targets
from core.nn.losses.ctc import NoAlignment
from core.nn.optimizers.wrappers import Optimizer
from core.nn.step.update import learning_rate

MAX_WEIGHT_COPIES = 9
"""Vectors of the weights' length in memory at a time, at most: while the file is read, weights, best weights and two
moments twice each; during the step these four, and gradient, scratch, weights before it and their difference."""


@dataclass(frozen=True, slots=True)
class InspectionLimits:
    """Limits of one inspection or gradient check."""

    memory_bytes: int
    """Memory, estimated from the plan."""
    array_numbers: int = 1_000_000
    """Numbers in all arrays of a response together."""
    flops: int = 20_000_000_000
    """Floating-point operations of a gradient check, estimated from the plan."""


def inspect_next_step(
    checkpoint: CheckpointData,
    optimizer: Optimizer,
    total_steps: int,
    instances: Sequence[Any],
    targets: Sequence[Any],
    *,
    arrays: bool,
    limits: InspectionLimits,
) -> StepInspection:
    """Return what the next training step would do with these raw records and targets as its batch.

    The step is taken on the checkpoint's own arrays, to spare memory: it is not the same afterwards.
    `total_steps` are those of the whole training, for the learning rate.

    Raises
    ------
    InvalidInstance
        Where a record or a target does not fit the model, or a limit is exceeded.
    """
    model = Model.of(checkpoint, "last")
    _check_size(model, len(instances), limits, arrays=arrays)
    x, y = _batch(model, instances, targets)
    state = checkpoint.state_of(model.network, optimizer, copy=False)
    rate = learning_rate(optimizer, state, state.step, max(total_steps, state.step + 1))
    with _errors_of_the_batch():
        return inspect_step(model.network, model.loss, optimizer, state, x, y, rate=rate, arrays=arrays)


def check_gradient(
    checkpoint: CheckpointData, instances: Sequence[Any], targets: Sequence[Any], limits: InspectionLimits
) -> list[LayerCheck]:
    """Compare the gradient on these raw records and targets with finite differences, at the last weights.

    Raises
    ------
    InvalidInstance
        Where a record or a target does not fit the model, or a limit is exceeded.
    """
    model = Model.of(checkpoint, "last")
    _check_size(model, len(instances), limits, arrays=False, itemsize=8)
    _check_flops(model, len(instances), limits)
    x, y = _batch(model, instances, targets)
    weights, statistics = checkpoint.weights_and_statistics("last")
    with _errors_of_the_batch(), np.errstate(all="ignore"):
        return check_layers(model.network, model.loss, x, y, weights, statistics)


def _batch(model: Model, instances: Sequence[Any], targets: Sequence[Any]) -> tuple[Any, Any]:
    x, _ = model.features.encode(instances)
    if len(targets) != len(x):
        raise InvalidInstance(0, "/targets", f"has {len(targets)} rows where instances has {len(x)}: give one for each")
    return x, model.target.parse(targets, model.network.output_shape[:-1])


@contextmanager
def _errors_of_the_batch() -> Iterator[None]:
    """Raise an error of a pass as an `InvalidInstance` that points into the batch."""
    try:
        yield
    except NoSuchEmbedding as error:
        raise InvalidInstance(0, "/instances", str(error)) from None
    except NoAlignment as error:
        raise InvalidInstance(error.rows[0], f"/targets/{error.rows[0]}", str(error)) from None


def _check_flops(model: Model, rows: int, limits: InspectionLimits) -> None:
    plans = list(model.network.plan.walk())
    passes = 3 + 2 * sum(len(plan.weights) for plan in plans)
    flops = passes * (rows * sum(plan.flops for plan in plans) + model.network.parameters)
    if flops > limits.flops:
        message = f"takes about {flops:,} operations, and {limits.flops:,} are allowed: give fewer rows"
        raise InvalidInstance(0, "/instances", message)


def _check_size(model: Model, rows: int, limits: InspectionLimits, *, arrays: bool, itemsize: int = 4) -> None:
    parameters, plans = model.network.parameters, list(model.network.plan.walk())
    # The arrays of the step, and a copy of each output and of its gradient.
    numbers = MAX_WEIGHT_COPIES * parameters + sum(3 * rows * plan.activation_size + plan.scratch for plan in plans)
    # The scratch memory of the loss twice, since an optimizer may take a second pass.
    needed = itemsize * numbers + 2 * _scratch_bytes(model, rows)
    if needed > limits.memory_bytes:
        message = f"takes about {needed:,} bytes for {rows} rows, and {limits.memory_bytes:,} are allowed"
        raise InvalidInstance(0, "/instances", f"{message}: give fewer rows")
    if arrays and 2 * parameters + rows * sum(plan.activation_size for plan in plans) > limits.array_numbers:
        message = f"would be more than {limits.array_numbers:,} numbers: give fewer rows, or leave arrays out"
        raise InvalidInstance(0, "/arrays", message)


def _scratch_bytes(model: Model, rows: int) -> int:
    """Return the bytes that the loss allocates for so many rows."""
    labels = model.target.max_labels if isinstance(model.target, Labels) else 1
    return model.loss.scratch_bytes(rows, model.network.output_shape, Targets(shape=(labels,)))
