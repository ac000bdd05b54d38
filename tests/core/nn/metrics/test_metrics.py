"""Metrics have their values, however the rows are batched."""

from typing import Any

import numpy as np
import pytest

from core.nn.metrics import Metric
from core.nn.metrics.base import zero_sums
from tests.core.nn.cases import METRICS


@pytest.mark.parametrize(("metric", "outputs", "targets", "value"), METRICS, ids=lambda v: getattr(v, "type", ""))
def test_metric_in_batches_of_any_size_has_the_listed_value(
    metric: Metric, outputs: list[Any], targets: list[Any], value: float
) -> None:
    for batch in (1, 2, 10):
        sums = zero_sums(metric.num_sums)
        for start in range(0, len(outputs), batch):
            part = slice(start, start + batch)
            metric.add(sums, np.array(outputs[part], float), np.array(targets[part]))
        assert metric.value(sums) == pytest.approx(value)
