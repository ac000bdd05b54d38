"""The rules that a spec must satisfy: a table of small functions.

An error rule yields a JSON pointer and a message for each violation. A rule asks layers, losses, metrics and optimizers
for their facts, and never for their class.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import translate
from typing import TypeAlias

from core.data.errors import InvalidData
from core.data.padding import Padding
from core.data.prepare import SAMPLE_WEIGHT, Signature, require_weights
from core.jobs.errors import SpecError
from core.jobs.other_names import TYPES
from core.jobs.spec import JobSpec
from core.json_pointer import pointer
from core.nn.losses import Loss
from core.nn.metrics import VALUE_NAMES, Metric, value_name
from core.nn.network import Network
from core.nn.optimizers.wrappers import MAX_PATTERNS
from core.nn.plan import ShapeMismatch
from core.nn.training.bucketing import cut_networks
from core.nn.training.options import Training
from core.spelling import closest, plain

MAX_TABLE_CLASSES = 100
"""Classes of a metric that is stored as a table, such as the confusion matrix."""
MAX_LISTED_WEIGHTS = 20
"""Names of weights in a message."""

NO_VALIDATION_ROWS = 'there are no rows for validation: set /data/validation, such as {"fraction": 0.2}'
RULES_WITH_MONITOR = ("early_stopping", "reduce_lr_on_plateau", "target")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A spec with its network, loss and training, before it is accepted."""

    spec: JobSpec
    signature: Signature
    network: Network
    loss: Loss
    training: Training
    """With the metrics that the spec leaves open."""

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The metrics of the training."""
        return self.training.metrics or ()

    @property
    def padding(self) -> Padding | None:
        """The padding of the data, if sequences of different lengths are padded."""
        return self.spec.data.padding


def errors_of(candidate: Candidate) -> list[SpecError]:
    """Return what is wrong with the spec; an empty list means that it can be trained."""
    return [error for rule in ERROR_RULES for error in rule(candidate)]


def nothing_to_train(candidate: Candidate) -> Iterator[SpecError]:
    """Reject a network without a trainable weight."""
    if not candidate.network.plan.learns:
        remedy = "make one trainable" if candidate.network.parameters else "add a layer with weights, such as dense"
        yield "/architecture/layers", f"no layer has trainable weights: {remedy}"


def activation_applied_twice(candidate: Candidate) -> Iterator[SpecError]:
    """Reject a last activation that the loss applies itself, as its link."""
    last = candidate.network.plan.parts[-1].output_activation
    if last == candidate.loss.link_type != "linear":
        place = pointer("architecture", "layers", len(candidate.network.plan.parts) - 1, "activation")
        yield place, f"{candidate.loss.type} applies {last} itself: leave the last activation out"


def duplicate_metrics(candidate: Candidate) -> Iterator[SpecError]:
    """Reject a metric that occurs twice, since the name identifies its rows."""
    types = [metric.type for metric in candidate.metrics]
    for position, name in enumerate(types):
        if name in types[:position]:
            yield f"/training/metrics/{position}", f"{name} is given twice: leave one of them out"


def metrics_of_another_kind(candidate: Candidate) -> Iterator[SpecError]:
    """Reject a metric for other predictions than those of the loss, such as accuracy for a regression."""
    loss = candidate.loss
    for position, metric in enumerate(candidate.metrics):
        if metric.predicts != loss.predicts:
            message = f"{metric.type} measures {metric.predicts}, but {loss.type} predicts {loss.predicts}"
            yield f"/training/metrics/{position}", f"{message}: leave it out"


def tables_without_one_class_per_row(candidate: Candidate) -> Iterator[SpecError]:
    """Reject a table of classes for outputs of independent units, which have no single class."""
    loss, output = candidate.loss, candidate.network.output_shape
    for position, metric in enumerate(candidate.metrics):
        if metric.tabulates and loss.independent_units and output[-1:] != (1,):
            message = f"{metric.type} needs one class per row, but {loss.type} has {output} independent outputs"
            yield f"/training/metrics/{position}", f"{message}: leave it out"


def tables_of_too_many_classes(candidate: Candidate) -> Iterator[SpecError]:
    """Reject a large table, since it is stored in the row of the job."""
    classes = candidate.network.output_shape[-1] if candidate.network.output_shape else 1
    for position, metric in enumerate(candidate.metrics):
        if metric.tabulates and classes > MAX_TABLE_CLASSES:
            message = f"{metric.type} is for {MAX_TABLE_CLASSES} classes at most, and there are {classes}"
            yield f"/training/metrics/{position}", f"{message}: leave it out"


def unmeasured_monitors(candidate: Candidate) -> Iterator[SpecError]:
    """Reject a rule whose monitor is not measured."""
    names = ["loss", *(VALUE_NAMES[metric.type] for metric in candidate.metrics)]
    if candidate.signature.validation_rows:
        names += [f"val_{name}" for name in names]
    for field in RULES_WITH_MONITOR:
        rule = getattr(candidate.training, field)
        if rule and rule.monitor is not None and value_name(rule.monitor) not in names:
            meant = _close_measure(rule.monitor, names)
            remedy = f"did you mean {meant}?" if meant else f"choose one of {', '.join(names)}"
            if rule.monitor.startswith("val_") and not candidate.signature.validation_rows:
                remedy = f"{NO_VALIDATION_ROWS}, or choose one of {', '.join(names)}"
            message = f"{rule.monitor!r:.80} is not measured here: {remedy}"
            yield f"/training/{field}/monitor", message


def _close_measure(monitor: str, names: Sequence[str]) -> str | None:
    """Return the measure that is meant by another library's name for it, or by a close spelling."""
    prefix = "val_" if monitor.startswith("val_") else ""
    others = [prefix + known for known in TYPES.get(plain(monitor.removeprefix(prefix)), ())]
    return next((name for name in others if name in names), None) or closest(monitor, names)


def partial_batches(candidate: Candidate) -> Iterator[SpecError]:
    """Reject mini-batches for an optimizer that compares gradients of the same rows between steps."""
    optimizer, rows = candidate.spec.optimizer, candidate.signature.train_rows
    if optimizer.full_batch and candidate.training.batch_size < rows:
        message = f"{optimizer.type} needs all rows in each batch: set it to {rows} or more, or use adam"
        yield "/training/batch_size", message


def unmatched_weight_patterns(candidate: Candidate) -> Iterator[SpecError]:
    """Reject a pattern that matches no weight: most likely a mistake, which would be ignored silently."""
    names = candidate.network.names()
    patterns = list(candidate.spec.optimizer.patterns())
    if len(patterns) > MAX_PATTERNS:
        yield "/optimizer", f"has {len(patterns)} patterns of weights, more than the {MAX_PATTERNS} allowed: use fewer"
        return
    for place, pattern in patterns:
        if not any(map(re.compile(translate(pattern)).match, names)):
            listed = ", ".join(names[:MAX_LISTED_WEIGHTS]) + (", …" if names[MAX_LISTED_WEIGHTS:] else "")
            yield pointer("optimizer", *place), f"matches none of the weights, which are {listed}"


def mixup_of_what_cannot_be_mixed(candidate: Candidate) -> Iterator[SpecError]:
    """Reject mixup of inputs or targets whose weighted mean has no meaning."""
    if candidate.training.mixup is None:
        return
    loss = candidate.loss
    if not loss.mixable:
        remedy = "use cross_entropy, or leave mixup out" if loss.predicts == "classes" else "leave mixup out"
        yield "/training/mixup", f"{loss.type} compares whole {loss.predicts}, which cannot be mixed: {remedy}"
    if any(plan.categorical_input for plan in candidate.network.plan.walk()):
        yield "/training/mixup", "the embedding takes category numbers, which cannot be mixed: leave mixup out"
    if candidate.padding:
        yield "/training/mixup", "rows of different lengths cannot be mixed: leave mixup out"


def bucketing_without_lengths(candidate: Candidate) -> Iterator[SpecError]:
    """Reject bucketing unless padding comes after the steps and the network accepts fewer of them."""
    place = "/training/bucket_by_length"
    if not candidate.training.bucket_by_length:
        return
    if candidate.padding is None or candidate.padding.side != "post":
        yield place, "needs inline data that is padded after its steps: set padding in data, or leave it out"
        return
    try:
        list(cut_networks(candidate.network))
    except ShapeMismatch as error:
        yield place, f"the network {error.message}; or leave it out"


def weightless_part(candidate: Candidate) -> Iterator[SpecError]:
    """Reject weights in the spec that are all 0 in a part of the split, whose loss would be of no row.

    Weights in a dataset are checked when it is read.
    """
    data = candidate.spec.data
    if data.dataset_id is None and getattr(data, SAMPLE_WEIGHT, None) is not None:
        try:
            require_weights(data, candidate.training.seed)
        except InvalidData as error:
            yield error.pointer, error.message


ErrorRule: TypeAlias = Callable[[Candidate], Iterator[SpecError]]

ERROR_RULES: tuple[ErrorRule, ...] = (
    nothing_to_train,
    activation_applied_twice,
    duplicate_metrics,
    metrics_of_another_kind,
    tables_without_one_class_per_row,
    tables_of_too_many_classes,
    unmeasured_monitors,
    partial_batches,
    unmatched_weight_patterns,
    mixup_of_what_cannot_be_mixed,
    bucketing_without_lengths,
    weightless_part,
)
