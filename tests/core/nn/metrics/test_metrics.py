"""Metrics have their values, whatever the batches."""

from typing import Any

import numpy as np
import pytest

from core.nn.metrics import Metric
from tests.core.nn.cases import METRICS
from tests.core.nn.metrics.batches import sums_of_batches


@pytest.mark.parametrize(("metric", "outputs", "targets", "value"), METRICS, ids=lambda v: getattr(v, "type", ""))
@pytest.mark.parametrize("batch", [1, 2, 10])
def test_metric_in_batches_of_any_size_has_the_listed_value(
    metric: Metric, outputs: list[Any], targets: list[Any], value: float, batch: int
) -> None:
    sums = sums_of_batches(metric, np.array(outputs, float), np.array(targets), batch)
    assert metric.value(sums) == pytest.approx(value)
