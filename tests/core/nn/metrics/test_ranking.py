"""Ranking metrics: undefined values, and their memory."""

import math
import tracemalloc
from typing import Any

import numpy as np
import pytest

from core.nn.metrics import Metric
from core.nn.metrics.base import zero_sums
from core.nn.metrics.ranking import PrAuc, RocAuc


@pytest.mark.parametrize("metric", [RocAuc(), PrAuc()], ids=lambda metric: metric.type)
@pytest.mark.parametrize("outputs", [[[1.0], [2.0]], [[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]], [[1.0], [math.nan]]])
def test_ranking_metric_of_one_class_or_nan_scores_is_nan(metric: Metric, outputs: list[Any]) -> None:
    sums = zero_sums(metric.num_sums)
    true = [0, 1] if np.isnan(outputs).any() else [0, 0]
    metric.add(sums, np.array(outputs), np.array(true))
    assert math.isnan(metric.value(sums))


@pytest.mark.parametrize("metric", [RocAuc(), PrAuc()], ids=lambda metric: metric.type)
@pytest.mark.parametrize("columns", [1, 2, 3, 100])
def test_ranking_metric_memory_is_within_stored_bytes(metric: Metric, columns: int) -> None:
    rng = np.random.default_rng(0)
    rows, batch = 20_000, 1000
    outputs: Any = rng.standard_normal((batch, columns), np.float32)
    true: Any = rng.integers(0, max(columns, 2), batch)
    tracemalloc.start()
    sums = zero_sums(metric.num_sums)
    for _ in range(0, rows, batch):
        metric.add(sums, outputs, true)
    metric.value(sums)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert metric.stored_bytes(rows, (columns,)) / 2 < peak < metric.stored_bytes(rows, (columns,))
