"""What people ask of a network beside its loss: how often it is right, and how far off.

A metric is a few sums that grow batch by batch and give the exact value at the end, however the rows were batched.
One that ranks the rows keeps the scores of all instead.
`predicts` says what it is about, `ascends` whether more is better.
"""

from typing import Annotated, TypeAlias

from core.nn.losses.base import Predicts
from core.nn.metrics.classification import Accuracy, ClassificationMetrics
from core.nn.metrics.probabilistic import ProbabilisticMetrics
from core.nn.metrics.ranking import RankingMetrics
from core.nn.metrics.regression import MeanAbsoluteError, RegressionMetrics
from core.nn.metrics.sequences import EditDistance
from core.nn.tagged_union import Tagged

Metric: TypeAlias = Annotated[
    ClassificationMetrics | ProbabilisticMetrics | RankingMetrics | RegressionMetrics | EditDistance, Tagged()
]

DEFAULT_METRICS: dict[Predicts, tuple[Metric, ...]] = {
    "classes": (Accuracy(),),
    "numbers": (MeanAbsoluteError(),),
    "labels": (EditDistance(),),
    "embeddings": (),
}
"""What is measured where nobody says."""
