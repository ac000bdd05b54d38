"""What people ask of a network beside its loss: how often it is right, and how far off.

A metric is a few sums that grow batch by batch and give the exact value at the end, however the rows were batched.
One that ranks the rows keeps the scores of all instead.
`predicts` says what it is about, `ascends` whether more is better.
"""

from typing import Annotated, TypeAlias

from core.nn.losses.base import Predicts
from core.nn.metrics.classification import Accuracy, OfLabels
from core.nn.metrics.probabilistic import OfChances
from core.nn.metrics.ranking import OfRanks
from core.nn.metrics.regression import MeanAbsoluteError, OfNumbers
from core.nn.metrics.sequences import EditDistance
from core.nn.tagged_union import Tagged

Metric: TypeAlias = Annotated[OfLabels | OfChances | OfRanks | OfNumbers | EditDistance, Tagged()]

USUAL: dict[Predicts, tuple[Metric, ...]] = {
    "classes": (Accuracy(),),
    "numbers": (MeanAbsoluteError(),),
    "labels": (EditDistance(),),
    "embeddings": (),
}
"""What is measured where nobody says."""
