"""The estimated cost of a job: parameters, memory, floating-point operations and steps, and the limits on them.

All of it is computed with integers from the spec and the data's signature; no array is allocated.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from core.data.prepare import Signature
from core.jobs.cadence import Cadence
from core.jobs.errors import InvalidSpec
from core.jobs.resolve import Resolved, resolve, targets_of
from core.jobs.rules import Candidate
from core.jobs.spec import JobLimits, JobSpec
from core.jobs.warnings import warnings_of
from core.json_pointer import pointer
from core.nn.arrays import Shape
from core.nn.layers.composite import Layer
from core.nn.optimizers.slots import slot_lengths
from core.nn.plan import Plan, layer_parts
from core.nn.step.acceleration import extra_step_bytes
from core.nn.training.mixup import mixed_bytes
from core.warnings import WarningMessage, bounded

WEIGHT_VECTORS = 4
"""Vectors of the weights' length: weights, gradient, best weights, and scratch of optimizers and penalties."""
CHECKPOINTS_KEPT = 2
"""Checkpoints that a job keeps: the newest, and the one before it in case the newest is damaged."""
CHECKPOINT_HEADER_BYTES = 2**14
"""About the bytes of a checkpoint besides its arrays: counters, and the description of the network and its data."""
ROWS_OF_INSPECTIONS = 2**62
"""Inspected layers write rows of their own, so that only a limit bounds them."""
INSPECTION_BATCHES = 2
"""An inspected step also keeps a copy of each output and of its gradient."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of the service on one job."""

    parameters: int = 50_000_000
    memory: int = 4 << 30
    """Bytes of data, weights, optimizer and one step together."""
    flops: int = 10**12
    """Floating-point operations per step."""
    layers: int = 10_000
    rows: int = 1_000_000
    """Metric rows that a job stores; `log_every` may not ask for more."""


@dataclass(frozen=True, slots=True)
class LayerEstimate:
    """A layer of the planned network: its place in the spec, its output and its parameters."""

    pointer: str
    type: str
    output_shape: Shape
    parameters: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """The cost of a training."""

    parameters: int
    layers: list[LayerEstimate]
    output_shape: Shape
    bytes: int
    """Memory in total."""
    flops: int
    """Floating-point operations per step."""
    steps: int
    """Steps of all epochs, if no rule stops the training earlier."""
    metric_rows: int
    """Metric rows that it may store."""
    checkpoint_bytes: int
    """Size of the checkpoints that it may keep, together."""
    warnings: list[WarningMessage]


def estimate_cost(spec: JobSpec, signature: Signature, limits: Limits, threads: int = 1) -> Estimate:
    """Return the cost of the job with so many threads.

    Raises
    ------
    InvalidSpec
        Where the spec cannot be trained, or exceeds a limit.
    """
    limits = _combined(limits, spec.limits)
    resolved = resolve(spec, signature)
    plan = resolved.network.plan
    candidate = Candidate(spec, signature, resolved.network, resolved.loss, resolved.training)
    rows = _metric_rows(spec, signature, resolved)
    cost = Estimate(
        parameters=plan.parameters,
        layers=list(_layers(spec.architecture, plan, ())),
        output_shape=plan.output_shape,
        bytes=_memory_bytes(spec, signature, resolved, threads),
        flops=_step_flops(spec, signature, resolved),
        steps=spec.training.steps(signature.train_rows),
        metric_rows=min(limits.rows, rows),
        checkpoint_bytes=_checkpoint_bytes(spec, signature, resolved),
        warnings=bounded([*signature.warnings, *warnings_of(candidate), *_rows_warning(spec, rows, limits.rows)]),
    )
    _require_within(cost, limits, plan.layers)
    return cost


def _memory_bytes(spec: JobSpec, signature: Signature, resolved: Resolved, threads: int) -> int:
    network, batch = resolved.network, _batch_rows(spec, signature)
    inspected = spec.training.inspect_every is not None
    step = _pass_bytes(resolved, signature, batch) + extra_step_bytes(network, batch, threads)
    held_out = min(network.prediction_batch, max(signature.validation_rows, signature.test_rows))
    vectors = WEIGHT_VECTORS * network.parameters + _slots(spec, resolved)
    mixup = mixed_bytes(batch, signature.input_shape, network.output_shape) if spec.training.mixup else 0
    return (
        signature.bytes
        + step * (1 + INSPECTION_BATCHES * inspected)
        + (_pass_bytes(resolved, signature, held_out) if held_out else 0)
        + 4 * vectors * (1 + inspected)
        + mixup
        + _metric_bytes(resolved, signature)
    )


def _step_flops(spec: JobSpec, signature: Signature, resolved: Resolved) -> int:
    """Return the operations of a step; a backward pass costs about twice a forward pass."""
    forward = _batch_rows(spec, signature) * sum(plan.flops for plan in resolved.network.plan.walk())
    update = 4 * (resolved.network.parameters + _slots(spec, resolved))
    return spec.optimizer.passes * 3 * forward + update


def _batch_rows(spec: JobSpec, signature: Signature) -> int:
    return min(spec.training.batch_size, signature.train_rows)


def _slots(spec: JobSpec, resolved: Resolved) -> int:
    """Return the numbers in the optimizer's state."""
    return sum(slot_lengths(spec.optimizer.slots(), resolved.network.shapes).values())


def _pass_bytes(resolved: Resolved, signature: Signature, rows: int) -> int:
    """Return the bytes of a forward and backward pass over so many rows, loss included."""
    network = resolved.network
    arrays = 4 * sum(rows * plan.activation_size + plan.scratch for plan in network.plan.walk())
    return arrays + resolved.loss.scratch_bytes(rows, network.output_shape, targets_of(signature))


def _metric_bytes(resolved: Resolved, signature: Signature) -> int:
    """Return the bytes of the metrics that store the scores of all rows, for the largest split."""
    rows = max(signature.train_rows, signature.validation_rows, signature.test_rows)
    shape = resolved.network.output_shape
    row_shape = shape if resolved.loss.classes(shape) else (*shape, 1)
    return sum(metric.stored_bytes(rows, row_shape) for metric in resolved.training.metrics or ())


def _metric_rows(spec: JobSpec, signature: Signature, resolved: Resolved) -> int:
    """Return the metric rows of the whole training; with inspections, more than any limit."""
    if spec.training.inspect_every is not None:
        return ROWS_OF_INSPECTIONS
    cadence = Cadence.of(spec.training, signature.train_rows)
    metrics = len(resolved.training.metrics or ())
    return cadence.max_rows(spec.training, signature.train_rows, metrics, tested=signature.test_rows > 0)


def _rows_warning(spec: JobSpec, rows: int, limit: int) -> Iterator[WarningMessage]:
    if limit < rows < ROWS_OF_INSPECTIONS and spec.limits.rows != limit:
        message = f"the training may write {rows:,} metric rows, and the first {limit:,} are stored: raise log_every"
        yield WarningMessage("rows_beyond_the_limit", "/training/log_every", message)


def _checkpoint_bytes(spec: JobSpec, signature: Signature, resolved: Resolved) -> int:
    """Return the size of all checkpoints that the job keeps: weights twice, optimizer, row order, sums, header."""
    network = resolved.network
    vectors = 2 * (network.parameters + network.statistics_size) + _slots(spec, resolved)
    order = 8 * signature.train_rows if spec.training.shuffle else 0
    one = 4 * vectors + order + _metric_bytes(resolved, signature) + CHECKPOINT_HEADER_BYTES
    return one * (spec.limits.checkpoints or CHECKPOINTS_KEPT)


def _layers(layer: Layer, plan: Plan, path: tuple[str | int, ...]) -> Iterator[LayerEstimate]:
    for place, inner, part in layer_parts(layer, plan.parts):
        place = (*path, *place)
        yield LayerEstimate(pointer("architecture", *place), inner.type, part.output_shape, part.parameters)
        yield from _layers(inner, part, place)


def _combined(limits: Limits, wanted: JobLimits) -> Limits:
    """Return the service's limits with those of the job, which may only be lower."""
    pairs = [("memory", wanted.memory, limits.memory), ("flops", wanted.flops, limits.flops)]
    errors = [
        (f"/limits/{name}", f"exceeds the service's limit of {limit:,}: choose at most that, or leave it out")
        for name, value, limit in pairs
        if value is not None and value > limit
    ]
    if errors:
        raise InvalidSpec(errors, "limit_exceeded")
    return replace(
        limits,
        memory=wanted.memory or limits.memory,
        flops=wanted.flops or limits.flops,
        rows=min(wanted.rows or limits.rows, limits.rows),
    )


def _require_within(cost: Estimate, limits: Limits, layers: int) -> None:
    bounds = [
        ("/architecture/layers", layers, limits.layers, "layers"),
        ("/architecture", cost.parameters, limits.parameters, "parameters"),
        ("/architecture", cost.bytes, limits.memory, "bytes of memory"),
        ("/architecture", cost.flops, limits.flops, "floating-point operations per step"),
    ]
    errors = [
        (place, f"needs {_readable(count)} {noun}, and {_readable(limit)} are allowed: make the network smaller")
        for place, count, limit, noun in bounds
        if count > limit
    ]
    if errors:
        raise InvalidSpec(errors, "limit_exceeded")


def _readable(count: int) -> str:
    return f"{count:,}" if count < 10**15 else f"more than 10^{count.bit_length() * 3 // 10 - 1}"
