"""Everything that can be known to be wrong with a spec before a job exists, and what a right one will cost.

All of it is computed with integers from the spec and the data's signature: nothing is allocated.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from itertools import zip_longest
from types import MappingProxyType
from typing import Any

from core.data.prepare import Prepared, Signature
from core.data.targets.classes import Classes
from core.data.targets.numbers import Numbers
from core.jobs.spec import JobLimits, JobSpec
from core.json_pointer import pointer
from core.nn.arrays import Shape
from core.nn.execution.sharding import shard_bytes, shards_worth
from core.nn.layers.activation import ActivationLayer
from core.nn.layers.composite import Layer, Sequential
from core.nn.layers.dense import Dense
from core.nn.layers.embedding import Embedding
from core.nn.layers.masking import Masking
from core.nn.losses import Loss
from core.nn.losses.base import Mismatch, Targets
from core.nn.losses.binary import BinaryCrossEntropy
from core.nn.losses.categorical import CrossEntropy
from core.nn.losses.regression import MeanSquaredError
from core.nn.metrics import DEFAULT_METRICS, Metric
from core.nn.network import Network
from core.nn.optimizers.slots import lengths
from core.nn.plan import Plan, ShapeMismatch, layer_parts
from core.nn.training.bucketing import shorter
from core.nn.training.mixup import mixed_bytes
from core.nn.training.options import Training

TABULATED = 100
"""Classes of which a job's row may hold a table."""


INVALID_SPEC_CODES: Mapping[str, str] = MappingProxyType(
    {
        "invalid_spec": "The job spec is not valid",
        "shape_mismatch": "A layer does not fit its input, or the output does not fit the loss or the target",
        "limit_exceeded": "The job needs more than its limits or those of the service allow",
    }
)
"""The codes of `InvalidSpec` and what each means."""


class InvalidSpec(ValueError):
    """The spec cannot be trained: `errors` are pairs of a JSON pointer and what to do; `code` is a stable word."""

    def __init__(self, errors: list[tuple[str, str]], code: str = "invalid_spec") -> None:
        super().__init__("; ".join(f"{pointer}: {message}" for pointer, message in errors))
        self.errors = errors
        self.code = code


@dataclass(frozen=True, slots=True)
class Limits:
    """What one job may take at most."""

    parameters: int = 50_000_000
    memory: int = 4 << 30
    """Bytes of data, weights, optimizer and one step together."""
    flops: int = 10**12
    """Floating-point operations a step."""
    layers: int = 10_000


@dataclass(frozen=True, slots=True)
class LayerEstimate:
    """One layer of the plan: where it stands in the spec, what it emits, how much it learns."""

    pointer: str
    type: str
    output_shape: Shape
    parameters: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a training will take: `bytes` in all, `flops` a step, `steps` if no rule ends it early."""

    parameters: int
    layers: list[LayerEstimate]
    output_shape: Shape
    bytes: int
    flops: int
    steps: int
    warnings: list[str]


@dataclass(frozen=True, slots=True)
class Resolved:
    """A spec with everything decided that the client left open."""

    network: Network
    loss: Loss
    training: Training
    classes: int | None
    """Where whole numbers stand for classes: how many."""

    def fit(self, prepared: Prepared) -> Prepared:
        """The data in the form that the loss wants."""
        if self.loss.predicts == "labels":
            return prepared.with_labels()
        if self.loss.predicts == "embeddings":
            return prepared.with_embeddings(*self.network.output_shape)
        return prepared if self.classes is None else prepared.with_classes(self.classes)


def resolve(spec: JobSpec, signature: Signature) -> Resolved:
    """Plan the net for the data and choose loss and metrics; `InvalidSpec` where they do not go together."""
    try:
        network = Network(spec.architecture, signature.input_shape)
    except ShapeMismatch as error:
        raise InvalidSpec([(pointer("architecture", *error.path), error.message)], "shape_mismatch") from None
    loss = spec.loss or _loss_for(signature.target, network.output_shape)
    targets = _targets(signature.target)
    if targets.padded and loss.predicts != "labels":
        raise InvalidSpec([("/data/y", f"has rows of different lengths, which {loss.type} cannot compare: choose ctc")])
    if mismatch := loss.mismatch(targets, network.output_shape):
        raise _mismatch(spec.architecture, mismatch)
    if not network.plan.learns:
        remedy = "let one be trainable" if network.parameters else "add a layer with weights, such as dense"
        raise InvalidSpec([("/architecture/layers", f"nothing here can learn: {remedy}")])
    metrics = DEFAULT_METRICS[loss.predicts] if spec.training.metrics is None else spec.training.metrics
    training = replace(spec.training, metrics=metrics)
    errors = [
        *_applied_twice(spec.architecture, loss),
        *_wrong_metrics(training, metrics, loss, signature),
        *_one_class_a_row(metrics, loss, network.output_shape),
        *_part_of_the_rows(spec, signature),
        *_patterns_of_nothing(spec, network),
        *_no_mixture(spec, loss),
    ]
    if errors:
        raise InvalidSpec(errors)
    one_each = targets.shape == (network.output_shape[:-1] or (1,))
    whole_numbers = targets.classes is None and targets.integers and one_each
    return Resolved(network, loss, training, loss.classes(network.output_shape) if whole_numbers else None)


def require_weights_of(architecture: Sequential, network: Network, source: Network) -> None:
    """Return where a net has the weights and statistics of another, in their order; else `InvalidSpec`."""
    ours, theirs = list(_kept(architecture, network.plan)), list(_kept(source.architecture, source.plan))
    for own, other in zip_longest(ours, theirs, fillvalue=("/architecture/layers", "nothing more")):
        if own[1] != other[1]:
            message = (
                f"has {own[1]}, and the net to start from has {other[1]}: give it the same weights, in their order"
            )
            raise InvalidSpec([(own[0], message)], "shape_mismatch")


def check(spec: JobSpec, signature: Signature, limits: Limits, threads: int = 1) -> Estimate:
    """What the job will cost with so many threads; `InvalidSpec` where it cannot be trained or goes beyond a limit."""
    limits = _narrowed(limits, spec.limits)
    resolved = resolve(spec, signature)
    looked = spec.training.inspect_every is not None
    turns = spec.optimizer.passes
    if spec.training.bucket_by_length:
        _require_cuttable(spec, resolved.network)
    # An inspection between two steps has the arrays of a pass, and a copy of each output and of its gradient.
    copies = 3 if looked else 1
    plan, batch = resolved.network.plan, min(spec.training.batch_size, signature.train_rows)
    validated = min(resolved.network.prediction_batch, signature.validation_rows)
    shards = shards_worth(resolved.network, batch, threads)
    plans = list(plan.every())
    remembered = sum(lengths(spec.optimizer.slots(), resolved.network.shapes).values())
    own = 4  # weights, gradient, best weights, and the scratch of optimizers, penalties and constraints
    vectors = (own * plan.parameters + remembered) * (1 + looked)
    estimate = Estimate(
        parameters=plan.parameters,
        layers=list(_layers(spec.architecture, plan, "/architecture")),
        output_shape=plan.output_shape,
        bytes=signature.bytes
        + copies * (_of_a_batch(resolved, signature, batch) + shard_bytes(resolved.network, batch, shards))
        + (_of_a_batch(resolved, signature, validated) if validated else 0)
        + 4 * vectors
        + (mixed_bytes(batch, signature.input_shape, plan.output_shape) if spec.training.mixup else 0)
        + _ranked(resolved, signature),
        flops=turns * 3 * batch * sum(p.flops for p in plans) + 4 * (plan.parameters + remembered),
        steps=spec.training.steps(signature.train_rows),
        warnings=[*signature.warnings, *_warnings(spec, signature)],
    )
    _within(estimate, limits, len(plans))
    return estimate


def _require_cuttable(spec: JobSpec, network: Network) -> None:
    """Raise `InvalidSpec` where batches cannot be cut to the lengths of their rows."""
    pointer = "/training/bucket_by_length"
    padding = spec.data.padding
    if padding is None or padding.side != "post":
        raise InvalidSpec(
            [(pointer, "needs inline data that is padded after its steps: say so by padding, or leave it out")]
        )
    try:
        list(shorter(network))
    except ShapeMismatch as error:
        raise InvalidSpec([(pointer, f"the net {error.message}; or leave it out")]) from None


def _ranked(resolved: Resolved, signature: Signature) -> int:
    """The bytes of the metrics that keep the scores of all rows, of the split that has more of them."""
    rows = max(signature.train_rows, signature.validation_rows)
    shape = resolved.network.output_shape
    row = shape if resolved.loss.classes(shape) else (*shape, 1)
    return sum(metric.stored_bytes(rows, row) for metric in resolved.training.metrics or ())


def _of_a_batch(resolved: Resolved, signature: Signature, rows: int) -> int:
    """The bytes of a pass over so many rows, with those in which a loss lays labels over steps or pairs the rows."""
    network, loss = resolved.network, resolved.loss
    arrays = 4 * sum(rows * plan.activation_size + plan.scratch for plan in network.plan.every())
    return arrays + loss.scratch_bytes(rows, network.output_shape, _targets(signature.target))


def _loss_for(target: Numbers | Classes, output_shape: Shape) -> Loss:
    if isinstance(target, Numbers):
        return MeanSquaredError()
    return BinaryCrossEntropy() if len(target.names) == 2 and output_shape == (1,) else CrossEntropy()


def _targets(target: Numbers | Classes) -> Targets:
    if isinstance(target, Classes):
        return Targets(classes=len(target.names))
    return Targets(shape=target.shape, integers=target.integers, padded=target.padded, min=target.min, max=target.max)


def _mismatch(architecture: Sequential, mismatch: Mismatch) -> InvalidSpec:
    if not mismatch.output:
        return InvalidSpec([("/loss", mismatch.message)])
    last = len(architecture.layers) - 1
    message = f"layer {last + 1} ({architecture.layers[last].type}), the last, {mismatch.message}"
    return InvalidSpec([(f"/architecture/layers/{last}", message)], "shape_mismatch")


def _applied_twice(architecture: Sequential, loss: Loss) -> Iterator[tuple[str, str]]:
    """A loss applies its link itself; a net that ends with it would apply it a second time."""
    last = architecture.layers[-1]
    ends_with = last.activation.type if isinstance(last, Dense | ActivationLayer) else "linear"
    if ends_with == loss.link_type != "linear":
        pointer = f"/architecture/layers/{len(architecture.layers) - 1}/activation"
        yield pointer, f"{loss.type} applies {ends_with} itself: leave the last activation out"


def _one_class_a_row(metrics: tuple[Metric, ...], loss: Loss, output: Shape) -> Iterator[tuple[str, str]]:
    """What tabulates rows needs one class a row; several units of some losses say each for itself whether."""
    for position, metric in enumerate(metrics):
        if metric.tabulates and loss.independent_units and output[-1:] != (1,):
            message = f"{metric.type} is of rows of one class each, and {loss.type} has {output} of them: leave it out"
            yield f"/training/metrics/{position}", message
        if metric.tabulates and output[-1] > TABULATED:
            message = f"{metric.type} is for {TABULATED} classes at most, and there are {output[-1]}: leave it out"
            yield f"/training/metrics/{position}", message


def _part_of_the_rows(spec: JobSpec, signature: Signature) -> Iterator[tuple[str, str]]:
    if spec.optimizer.full_batch and spec.training.batch_size < signature.train_rows:
        wanted = f"let it be at least {signature.train_rows}, as there are rows to train on, or choose adam"
        yield "/training/batch_size", f"{spec.optimizer.type} steps by all rows at once: {wanted}"


def _no_mixture(spec: JobSpec, loss: Loss) -> Iterator[tuple[str, str]]:
    """Between two words is no word, between two labels no label, and a step that is half there fits no mask."""
    if spec.training.mixup is None:
        return
    if not loss.mixable:
        remedy = "choose cross_entropy, or leave it out" if loss.predicts == "classes" else "leave it out"
        yield "/training/mixup", f"{loss.type} compares with whole {loss.predicts}, which cannot be mixed: {remedy}"
    if any(isinstance(layer, Embedding) for layer in _every(spec.architecture)):
        yield (
            "/training/mixup",
            "embedding takes whole numbers that stand for something, which cannot be mixed: leave it out",
        )
    if spec.data.padding:
        yield "/training/mixup", "rows of different lengths cannot be mixed: leave it out"


def _every(layer: Layer) -> Iterator[Layer]:
    """A layer and all that it holds."""
    yield layer
    for _, part in getattr(layer, "children", list)():
        yield from _every(part)


def _patterns_of_nothing(spec: JobSpec, network: Network) -> Iterator[tuple[str, str]]:
    """A pattern that fits no weight is most likely a slip, and would do nothing without a word."""
    names = network.names()
    for place, pattern in spec.optimizer.patterns():
        if not any(fnmatchcase(name, pattern) for name in names):
            some = ", ".join(names[:20]) + (", …" if names[20:] else "")
            yield pointer("optimizer", *place), f"fits none of the weights: there are {some}"


def _wrong_metrics(
    training: Training, metrics: tuple[Metric, ...], loss: Loss, signature: Signature
) -> Iterator[tuple[str, str]]:
    for position, metric in enumerate(metrics):
        if metric.type in [other.type for other in metrics[:position]]:
            yield f"/training/metrics/{position}", f"{metric.type} is asked for twice: leave one of them out"
        if metric.predicts != loss.predicts:
            message = f"{metric.type} is about {metric.predicts}, and {loss.type} about {loss.predicts}: leave it out"
            yield f"/training/metrics/{position}", message
    names = ["loss", *(metric.type for metric in metrics)]
    if signature.validation_rows:
        names += [f"val_{name}" for name in names]
    rules = ("early_stopping", "reduce_lr_on_plateau", "target")
    for field, rule in ((name, getattr(training, name)) for name in rules):
        if rule and rule.monitor is not None and rule.monitor not in names:
            message = f"{rule.monitor!r:.80} is not measured here: choose one of {', '.join(names)}"
            yield f"/training/{field}/monitor", message


def _layers(layer: Layer, plan: Plan, pointer: str) -> Iterator[LayerEstimate]:
    for (path, part), inner in zip(getattr(layer, "children", list)(), plan.parts, strict=False):
        place = "/".join([pointer, *map(str, path)])
        yield LayerEstimate(place, part.type, inner.output_shape, inner.parameters)
        yield from _layers(part, inner, place)


def _kept(layer: Layer, plan: Plan, pointer: str = "/architecture") -> Iterator[tuple[str, str]]:
    """Each layer that has weights or statistics of its own, by its place: what they are, in words."""
    shapes = {name: weight.shape for name, weight in plan.weights.items()}
    shapes |= {name: statistic.shape for name, statistic in plan.statistics.items()}
    if shapes:
        yield pointer, ", ".join(f"{name} {shape}" for name, shape in shapes.items())
    for place, inner, part in layer_parts(layer, plan.parts):
        yield from _kept(inner, part, "/".join([pointer, *map(str, place)]))


def _warnings(spec: JobSpec, signature: Signature) -> Iterator[str]:
    if spec.training.batch_size > signature.train_rows:
        yield f"batch_size is more than the {signature.train_rows} rows to train on: each epoch is one step"
    if spec.training.early_stopping and not signature.validation_rows:
        yield "early_stopping watches the training loss, which falls while a net overfits: ask for a validation split"
    padding = spec.data.padding
    if padding and not _hides(spec.architecture, padding.value):
        begin = f"masking with mask_value {padding.value:g}" + (
            "" if padding.value else ", or an embedding with mask_zero"
        )
        yield f"padding counts as steps here: begin the net with {begin}, so that it does not"


def _hides(layer: Layer, value: float) -> bool:
    """Whether a layer masks the steps that are this value."""
    if isinstance(layer, Sequential):
        return _hides(layer.layers[0], value)
    if isinstance(layer, Embedding):
        return layer.mask_zero and value == 0
    return isinstance(layer, Masking) and layer.mask_value == value


def _narrowed(limits: Limits, wanted: JobLimits) -> Limits:
    """The service's limits and the job's own together, which may not go beyond them."""
    bounds = [("memory", wanted.memory, limits.memory), ("flops", wanted.flops, limits.flops)]
    errors = [
        (f"/limits/{name}", f"is beyond the service's own limit of {most:,}: choose at most that, or leave it out")
        for name, wish, most in bounds
        if wish is not None and wish > most
    ]
    if errors:
        raise InvalidSpec(errors, "limit_exceeded")
    return replace(limits, memory=wanted.memory or limits.memory, flops=wanted.flops or limits.flops)


def _within(estimate: Estimate, limits: Limits, layers: int) -> None:
    bounds: list[tuple[str, Any, int, str]] = [
        ("/architecture/layers", layers, limits.layers, "layers"),
        ("/architecture", estimate.parameters, limits.parameters, "parameters"),
        ("/architecture", estimate.bytes, limits.memory, "bytes of memory"),
        ("/architecture", estimate.flops, limits.flops, "floating-point operations a step"),
    ]
    errors = [
        (pointer, f"this takes {_about(count)} {noun}, and {_about(limit)} are allowed: make it smaller")
        for pointer, count, limit, noun in bounds
        if count > limit
    ]
    if errors:
        raise InvalidSpec(errors, "limit_exceeded")


def _about(count: int) -> str:
    return f"{count:,}" if count < 10**15 else f"more than 10^{count.bit_length() * 3 // 10 - 1}"
