"""Warnings about a spec that can be trained: a table of small functions by their code.

A function yields a JSON pointer and a message for each place. As the rules do, it asks layers and losses for their
facts. A new warning is a function here with its line in `WARNINGS`, a row of `tests/core/jobs/test_warnings.py`, and a
line of `docs/guides/warnings.md`.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import Any, TypeAlias

from core.data.cells import quote_names
from core.data.targets.classes import Classes
from core.data.targets.numbers import Numbers
from core.jobs.errors import SpecError
from core.jobs.rules import Candidate
from core.json_pointer import pointer
from core.nn.plan import Plan, layer_parts
from core.warnings import WarningMessage

MIN_CLASS_ROWS = 2
"""Rows of a class below which it cannot be in two parts of a split."""
LARGE_TARGET = 100.0
SMALL_TARGET = 1e-3
"""Bounds of targets that a default learning rate suits: the largest magnitude of them."""
OUTPUT_RANGES: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "hard_sigmoid": (0, 1),
        "hard_tanh": (-1, 1),
        "relu": (0, math.inf),
        "sigmoid": (0, 1),
        "softmax": (0, 1),
        "softplus": (0, math.inf),
        "softsign": (-1, 1),
        "tanh": (-1, 1),
    }
)
"""Outputs that an activation can have."""


def warnings_of(candidate: Candidate) -> list[WarningMessage]:
    """Return what may not be intended in a spec that can be trained."""
    return [
        WarningMessage(code, place, message)
        for code, warning in WARNINGS.items()
        for place, message in warning(candidate)
    ]


def batch_larger_than_the_data(candidate: Candidate) -> Iterator[SpecError]:
    """Warn about a batch of more rows than there are."""
    rows = candidate.signature.train_rows
    if candidate.training.batch_size > rows:
        message = f"batch_size is larger than the {rows} training rows: each epoch is one step"
        yield "/training/batch_size", message


def early_stopping_without_validation(candidate: Candidate) -> Iterator[SpecError]:
    """Warn about early stopping by the training loss, which keeps falling while a network overfits."""
    if candidate.training.early_stopping and not candidate.signature.validation_rows:
        message = "early_stopping monitors the training loss, which falls while a network overfits"
        yield "/training/early_stopping", f"{message}: add a validation split"


def early_stopping_never_stops(candidate: Candidate) -> Iterator[SpecError]:
    """Warn about a patience of at least as many epochs as the training has."""
    rule, epochs = candidate.training.early_stopping, candidate.training.epochs
    if rule and rule.patience >= epochs and not rule.restore_best_weights:
        message = f"waits for {rule.patience} epochs without improvement, and the training has {epochs}"
        yield "/training/early_stopping/patience", f"{message}: choose a smaller patience or more epochs"


def unmasked_padding(candidate: Candidate) -> Iterator[SpecError]:
    """Warn about padding that the first layer does not mask, so that it counts as steps."""
    padding = candidate.padding
    if padding and candidate.network.plan.masked_value != padding.value:
        embedding = "" if padding.value else ", or an embedding with mask_zero"
        layer = f"masking with mask_value {padding.value:g}{embedding}"
        yield "/data/padding", f"padding counts as steps here: begin the network with {layer}, so that it does not"


def statistics_of_one_row(candidate: Candidate) -> Iterator[SpecError]:
    """Warn about statistics over the rows of a batch that has one: its variance is 0, and the output constant."""
    rows, batch = candidate.signature.train_rows, candidate.training.batch_size
    last = rows % batch if rows > batch else rows
    if min(last or batch, batch) > 1:
        return
    for place, plan in _layers(candidate):
        if plan.statistics and plan.trainable and len(plan.output_shape) == 1:
            which = "every batch has" if batch == 1 or rows == 1 else f"the last batch of {rows} rows has"
            message = f"{which} a single row, whose variance is 0, so that this layer gives the same for any input"
            yield place, f"{message}: choose another batch_size, or layer_normalization"


def softmax_of_one_unit(candidate: Candidate) -> Iterator[SpecError]:
    """Warn about a softmax over a single unit, whose output is 1 for any input."""
    for place, plan in _layers(candidate):
        if plan.output_activation == "softmax" and plan.output_shape[-1:] == (1,) and not plan.parts:
            yield place, "softmax of one unit is 1 for any input: use sigmoid, or one unit for each class"


def targets_out_of_reach(candidate: Candidate) -> Iterator[SpecError]:
    """Warn about a last activation that cannot give some of the targets."""
    target, (place, _, plan) = candidate.signature.target, _last_layer(candidate)
    bounds = OUTPUT_RANGES.get(plan.output_activation)
    if bounds is None or not isinstance(target, Numbers) or candidate.loss.predicts != "numbers":
        return
    low, high = bounds
    if target.min < low or target.max > high:
        reach = f"gives {low:g} and more" if high == math.inf else f"gives numbers from {low:g} to {high:g}"
        message = f"{plan.output_activation} {reach}, and targets go from {target.min:.6g} to {target.max:.6g}"
        yield f"{place}/activation", f"{message}: leave the last activation out, or scale the targets"


def targets_of_another_scale(candidate: Candidate) -> Iterator[SpecError]:
    """Warn about targets far from unit scale with a learning rate that nobody chose."""
    target, optimizer = candidate.signature.target, candidate.spec.optimizer
    if not isinstance(target, Numbers) or candidate.loss.predicts != "numbers" or not target.max - target.min:
        return
    largest = max(abs(target.min), abs(target.max))
    if _has_default_rate(optimizer) and not SMALL_TARGET <= largest <= LARGE_TARGET:
        remedy = f"divide them by {largest:.3g}" if largest > LARGE_TARGET else f"multiply them by {1 / largest:.3g}"
        message = f"targets go from {target.min:.6g} to {target.max:.6g}, far from the scale of a default learning rate"
        yield "/data", f"{message}: {remedy}, or set optimizer.learning_rate"


def _has_default_rate(optimizer: Any) -> bool:
    """Return whether an optimizer, or the one that it wraps, has the learning rate that it has by default."""
    if inner := getattr(optimizer, "optimizer", None):
        return _has_default_rate(inner)
    default = next((field.default for field in fields(optimizer) if field.name == "learning_rate"), None)
    return default is not None and optimizer.learning_rate == default


def small_classes(candidate: Candidate) -> Iterator[SpecError]:
    """Warn about classes of a single row; integers are classes where the loss says so."""
    counts, target = candidate.signature.class_counts, candidate.signature.target
    if counts is None or candidate.loss.predicts != "classes":
        return
    small = [class_id for class_id, count in enumerate(counts) if count < MIN_CLASS_ROWS]
    if small:
        place = "/data/target" if candidate.spec.data.dataset_id else "/data/y"
        known = target.names if isinstance(target, Classes) and len(target.names) == len(counts) else ()
        names = f" ({quote_names([known[class_id] for class_id in small])})" if known else ""
        have = "class has" if len(small) == 1 else "classes have"
        message = f"{len(small)} {have} a single row{names}, which cannot be both learnt and validated"
        yield place, f"{message}: add rows, or merge it with another class"


def dropout_at_the_end(candidate: Candidate) -> Iterator[SpecError]:
    """Warn about a last layer that only changes numbers at random during training, such as dropout."""
    place, last, plan = _last_layer(candidate)
    if hasattr(last, "rate") and not plan.learns:
        yield place, f"{last.type} is the last layer, so that outputs themselves are changed at random: put it earlier"


def _last_layer(candidate: Candidate) -> tuple[str, Any, Plan]:
    """Return the layer that gives the outputs, with its pointer and plan: the last of the innermost sequence."""
    place, layer, plan = "/architecture", candidate.spec.architecture, candidate.network.plan
    while layers := getattr(layer, "layers", ()):
        place, layer, plan = f"{place}/layers/{len(layers) - 1}", layers[-1], plan.parts[-1]
    return place, layer, plan


def rate_pointer(optimizer: Any, path: str = "/optimizer") -> str:
    """Return the pointer of the learning rate: of a wrapper, that of the optimizer inside."""
    inner = getattr(optimizer, "optimizer", None)
    return rate_pointer(inner, f"{path}/optimizer") if inner else f"{path}/learning_rate"


def _layers(candidate: Candidate) -> Iterator[tuple[str, Plan]]:
    """Yield each layer's pointer and plan, those of composites included."""

    def walk(layer: object, plan: Plan, path: tuple[str | int, ...]) -> Iterator[tuple[str, Plan]]:
        for place, inner, part in layer_parts(layer, plan.parts):
            yield pointer(*path, *place), part
            yield from walk(inner, part, (*path, *place))

    yield from walk(candidate.spec.architecture, candidate.network.plan, ("architecture",))


WarningRule: TypeAlias = Callable[[Candidate], Iterator[SpecError]]

WARNINGS: Mapping[str, WarningRule] = MappingProxyType(
    {
        "batch_larger_than_data": batch_larger_than_the_data,
        "early_stopping_without_validation": early_stopping_without_validation,
        "early_stopping_never_stops": early_stopping_never_stops,
        "unmasked_padding": unmasked_padding,
        "statistics_of_one_row": statistics_of_one_row,
        "softmax_of_one_unit": softmax_of_one_unit,
        "targets_out_of_reach": targets_out_of_reach,
        "targets_of_another_scale": targets_of_another_scale,
        "small_class": small_classes,
        "dropout_at_the_end": dropout_at_the_end,
    }
)
"""The warnings by their codes."""
