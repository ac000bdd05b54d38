"""The summary of a column of numbers: quantiles, a histogram, and outliers."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

QUANTILES = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)
MAX_BINS = 20
TOP = 10
"""Most frequent values of a column."""
FENCE = 3.0
"""Interquartile ranges beyond the quartiles from which a number is far out (Tukey 1977)."""
OUTLIERS = 5
"""Rows of outliers that are named."""


def summarize_numbers(values: NDArray[Any], rows: NDArray[np.int64]) -> dict[str, Any]:
    """Return quantiles, histogram, outliers and the most frequent of numbers `(n,)`, which are NaN where missing.

    `rows` `(n,)` are the numbers of their rows in the dataset.
    """
    present = ~np.isnan(values)
    numbers, rows = values[present].astype(np.float64), rows[present]
    if not numbers.size:
        return {}
    quantiles = np.quantile(numbers, QUANTILES)
    distinct, counts = np.unique(numbers, return_counts=True)
    return {
        "distinct": len(distinct),
        "quantiles": [{"part": part, "value": float(at)} for part, at in zip(QUANTILES, quantiles, strict=True)],
        "histogram": _histogram(numbers, distinct, counts),
        "outliers": _outliers(numbers, rows, float(quantiles[3]), float(quantiles[5])),
        "top": _top(distinct, counts),
    }


def _histogram(
    numbers: NDArray[np.float64], distinct: NDArray[np.float64], counts: NDArray[np.int64]
) -> dict[str, Any]:
    """Return edges and counts; a bin for each integer where few are different."""
    low, high = float(distinct[0]), float(distinct[-1])
    if high - low < MAX_BINS and (distinct == np.rint(distinct)).all():
        edges = np.arange(low, high + 2) - 0.5
    elif low == high or not np.isfinite(np.linspace(low, high, MAX_BINS + 1)).all():
        return {"edges": [low, high], "counts": [len(numbers)]}
    else:
        edges = np.linspace(low, high, MAX_BINS + 1)
    if (np.diff(edges) <= 0).any():  # the range is a few roundings wide
        return {"edges": [low, high], "counts": [len(numbers)]}
    found = np.histogram(distinct, edges, weights=counts)[0]
    return {"edges": edges.tolist(), "counts": found.astype(int).tolist()}


def _outliers(numbers: NDArray[np.float64], rows: NDArray[np.int64], first: float, third: float) -> dict[str, Any]:
    """Return how many numbers are far out, the fences, and the first rows beyond them."""
    low, high = first - FENCE * (third - first), third + FENCE * (third - first)
    outside = np.flatnonzero((numbers < low) | (numbers > high)) if third > first else np.array([], np.int64)
    examples = [{"row": int(rows[at]), "value": float(numbers[at])} for at in outside[:OUTLIERS]]
    return {"count": len(outside), "low": low, "high": high, "examples": examples}


def _top(distinct: NDArray[np.float64], counts: NDArray[np.int64]) -> list[dict[str, Any]]:
    """Return the most frequent numbers that occur more than once."""
    order = np.argsort(-counts, kind="stable")[:TOP]
    return [{"value": float(distinct[at]), "count": int(counts[at])} for at in order if counts[at] > 1]
