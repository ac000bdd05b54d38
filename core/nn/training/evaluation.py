"""Loss and metrics of an epoch, summed batch by batch, on the training rows and on rows held out."""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias, TypeVar

import numpy as np

from core.nn.arrays import Array, Shape
from core.nn.losses import Loss
from core.nn.metrics import VALUE_NAMES, Metric
from core.nn.metrics.base import Sums, Table, zero_sums
from core.nn.network import Network
from core.nn.step.context import PassContext, inference

T = TypeVar("T")

InOwnUnit: TypeAlias = Callable[[Array], Array]
"""Turns numbers that a net learns into those of the target's unit, in which metrics are given."""


class Evaluation:
    """Loss and metrics of outputs of the shape `(batch, *output_shape)`."""

    def __init__(
        self, loss: Loss, metrics: tuple[Metric, ...], output_shape: Shape, in_own_unit: InOwnUnit | None = None
    ) -> None:
        self._loss, self._metrics, self._in_own_unit = loss, metrics, in_own_unit
        self._multi_label = loss.predicts == "classes" and loss.classes(output_shape) is None

    def add(self, sums: dict[str, Sums], loss: float, outputs: Array, targets: Any, ctx: PassContext) -> None:
        """Add a batch: its loss by the total weight of its rows or steps, and its metrics."""
        if not sums:
            sums["loss"] = zero_sums(1)
            sums |= {metric.type: zero_sums(metric.num_sums) for metric in self._metrics}
        weights = ctx.weights
        if weights is None:
            sums["loss"][0] += loss * len(outputs)
        else:
            total = float(np.add.reduce(weights, axis=None))
            sums["loss"][0] += loss * total
            sums.setdefault("weight", zero_sums(1))[0] += total
        if self._metrics:
            self._add_metrics(sums, outputs, targets, ctx)

    def _add_metrics(self, sums: dict[str, Sums], outputs: Array, targets: Any, ctx: PassContext) -> None:
        """Add numbers and label sequences as they are predicted, and the logits of classes.

        Masked steps of numbers and classes are left out; each multi-label output counts as a row of its own.
        """
        predicts = self._loss.predicts
        predicted = outputs if predicts == "classes" else self._loss.link(outputs, ctx.mask)
        if ctx.mask is not None and predicts != "labels":
            predicted, targets = predicted[ctx.mask], targets[ctx.mask]
        elif predicts == "classes" and outputs.ndim > 2:
            steps = outputs.ndim - 1
            predicted, targets = (part.reshape(-1, *part.shape[steps:]) for part in (predicted, targets))
        if self._multi_label:
            predicted, targets = predicted.reshape(-1, 1), targets.reshape(-1, 1)
        if self._in_own_unit is not None:
            predicted, targets = self._in_own_unit(predicted), self._in_own_unit(targets)
        for metric in self._metrics if len(predicted) else ():
            metric.add(sums[metric.type], predicted, targets)

    def values(self, sums: dict[str, Sums], rows: int) -> dict[str, float]:
        """Return the mean loss of `rows` rows and the metrics, NaN where one is not defined, as without any weight."""
        total_weight = sums["weight"][0] if "weight" in sums else rows
        loss = {"loss": sums["loss"][0] / total_weight if total_weight else math.nan}
        sums_by_metric = {metric.type: (metric, sums[metric.type]) for metric in self._metrics}
        return loss | {
            VALUE_NAMES[name]: metric.value(own) if any(own) else math.nan
            for name, (metric, own) in sums_by_metric.items()
        }

    def tables(self, sums: dict[str, Sums]) -> dict[str, Table]:
        """Return the tables of the metrics that have one, such as a confusion matrix."""
        tabled = [metric for metric in self._metrics if metric.tabulates]
        return {metric.type: metric.table(sums[metric.type]) for metric in tabled if any(sums[metric.type])}


class HeldOut(NamedTuple):
    """Rows that a net is not trained on: inputs (None for no rows), targets and weights."""

    prefix: str
    """The beginning of the names of their results, such as `val_`."""
    x: Array | None
    y: Any
    sample_weight: Array | None


class HeldOutEvaluation:
    """Evaluates held-out rows; the results have names such as `val_loss`."""

    def __init__(self, network: Network, loss: Loss, evaluation: Evaluation, rows: HeldOut) -> None:
        self._network, self._loss, self._evaluation = network, loss, evaluation
        self._prefix, self._x, _, self._sample_weight = rows
        self._y: Any = None if self._x is None else loss.encode(rows.y, network.output_shape)

    def evaluate(self, weights: Array, statistics: Array) -> tuple[dict[str, float], dict[str, Table]]:
        """Return the loss (penalties included), the metrics and their tables; empty without rows."""
        if self._x is None:
            return {}, {}
        sums = self._sums(self._x, weights, statistics)
        values = self._evaluation.values(sums, len(self._x))
        values["loss"] += self._network.penalty(weights)
        return self._named(values), self._named(self._evaluation.tables(sums))

    def _named(self, results: Mapping[str, T]) -> dict[str, T]:
        return {f"{self._prefix}{name}": result for name, result in results.items()}

    def _sums(self, x: Array, weights: Array, statistics: Array) -> dict[str, Sums]:
        sums: dict[str, Sums] = {}
        views = self._network.views(weights, statistics)
        for start in range(0, len(x), self._network.prediction_batch):
            part = slice(start, start + self._network.prediction_batch)
            ctx = inference(weights.dtype)
            ctx.sample_weight = None if self._sample_weight is None else self._sample_weight[part]
            outputs, _ = self._network.forward(x[part], views, ctx)
            loss, _ = self._loss.forward(outputs, self._y[part], ctx)
            self._evaluation.add(sums, float(loss), outputs, self._y[part], ctx)
        return sums
