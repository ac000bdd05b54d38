"""Metrics of rows for which they are not defined: null, or scikit-learn's convention."""

import math
from typing import Any

import numpy as np
import pytest

from core.nn.metrics import Metric
from core.nn.metrics.base import zero_sums
from core.nn.metrics.classification import Accuracy, ConfusionMatrix, FBeta, IntersectionOverUnion, Precision, Recall
from core.nn.metrics.ranking import PrAuc, RocAuc
from core.nn.metrics.regression import MeanAbsoluteErrorMetric, RSquared
from core.nn.metrics.sequences import EditDistance

NO, YES = [-1.0], [1.0]
CASES: list[tuple[str, Metric, Any, Any, float]] = [
    ("R² of one row", RSquared(), [[1.0]], [[2.0]], math.nan),
    ("R² of a constant, predicted exactly", RSquared(), [[2.0], [2.0]], [[2.0], [2.0]], 1.0),
    ("R² of a constant, missed", RSquared(), [[2.0], [3.0]], [[2.0], [2.0]], 0.0),
    ("MAE of one row", MeanAbsoluteErrorMetric(), [[1.0]], [[2.0]], 1.0),
    ("precision, none predicted", Precision(), [NO, NO], [0, 1], 0.0),
    ("precision, none there and none predicted", Precision(), [NO, NO], [0, 0], math.nan),
    ("recall, none there", Recall(), [NO, YES], [0, 0], 0.0),
    ("recall, none there and none predicted", Recall(), [NO, NO], [0, 0], math.nan),
    ("F, none there and none predicted", FBeta(), [NO, NO], [0, 0], math.nan),
    ("IoU, none there and none predicted", IntersectionOverUnion(), [NO, NO], [0, 0], math.nan),
    ("IoU of one class of three", IntersectionOverUnion(), [[1.0, 0, 0]], [0], 1.0),
    ("accuracy of one class", Accuracy(), [NO, NO], [0, 0], 1.0),
    ("error rate of one class", ConfusionMatrix(), [NO, NO], [0, 0], 0.0),
    ("ROC of one class", RocAuc(), [NO, YES], [0, 0], math.nan),
    ("PR of one class", PrAuc(), [NO, YES], [1, 1], math.nan),
    ("edit distance without labels", EditDistance(), [[0, 0]], [[0, 0]], 0.0),
]


@pytest.mark.parametrize(
    ("metric", "outputs", "targets", "expected"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_value_where_rows_say_little(metric: Metric, outputs: Any, targets: Any, expected: float) -> None:
    sums = zero_sums(metric.num_sums)
    dtype: Any = np.float32 if metric.predicts == "numbers" else np.int64
    metric.add(
        sums, np.array(outputs, np.int64 if metric.predicts == "labels" else np.float32), np.array(targets, dtype)
    )
    assert metric.value(sums) == pytest.approx(expected, nan_ok=True)
