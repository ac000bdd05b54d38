"""The value of a metric over several batches."""

from typing import Any

from core.nn.metrics import Metric
from core.nn.metrics.base import Sums, zero_sums


def sums_of_batches(metric: Metric, outputs: Any, targets: Any, batch: int) -> Sums:
    """Return the sums of a metric after all batches."""
    sums = zero_sums(metric.num_sums)
    for start in range(0, len(outputs), batch):
        metric.add(sums, outputs[start : start + batch], targets[start : start + batch])
    return sums
