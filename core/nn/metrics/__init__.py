"""Metrics: measures of a network's predictions besides the loss, such as accuracy or the mean error.

A metric is a few sums to which each batch is added; the value at the end is exact, whatever the batches were. Ranking
metrics store the scores of all rows instead. `predicts` says which losses a metric fits, and `higher_is_better` which
of two values is better.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, TypeAlias

from core.nn.losses.base import Predicts
from core.nn.metrics.classification import Accuracy, ClassificationMetrics
from core.nn.metrics.probabilistic import ProbabilisticMetrics
from core.nn.metrics.ranking import RankingMetrics
from core.nn.metrics.regression import MeanAbsoluteErrorMetric, RegressionMetrics
from core.nn.metrics.sequences import EditDistance
from core.nn.tagged_union import Tagged, members

Metric: TypeAlias = Annotated[
    ClassificationMetrics | ProbabilisticMetrics | RankingMetrics | RegressionMetrics | EditDistance, Tagged("Metric")
]

DEFAULT_METRICS: Mapping[Predicts, tuple[Metric, ...]] = MappingProxyType(
    {
        "classes": (Accuracy(),),
        "numbers": (MeanAbsoluteErrorMetric(),),
        "labels": (EditDistance(),),
        "embeddings": (),
    }
)
"""The metrics of a spec that names none."""

VALUE_NAMES: Mapping[str, str] = MappingProxyType(
    {name: metric.value_name or name for name, metric in members(Metric).items()}
)
"""The name of each metric's value by the type of the metric."""


def value_name(monitor: str) -> str:
    """Return the name of the value that a rule monitors by this name, or by the type of a metric, on either split."""
    name = monitor.removeprefix("val_")
    return monitor.removesuffix(name) + VALUE_NAMES.get(name, name)
