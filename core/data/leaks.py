"""Columns that alone give the target away: most likely the target in another form, which is unknown at a prediction."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.data.cells import quote
from core.warnings import WarningMessage

MIN_ROWS = 20
"""Rows below which a column gives the target away by chance."""
MAX_ROWS = 10_000
"""Rows that are looked at."""
SAME_LINE = 1 - 1e-9
"""The squared correlation from which two columns of numbers are the same but for scale."""


def leaking_columns(
    columns: Mapping[str, NDArray[Any]], names: Sequence[str], y: NDArray[Any], rows: NDArray[np.int64]
) -> Iterator[WarningMessage]:
    """Yield a warning for each of the columns `names` that gives the target `y` away in these rows.

    `columns` are loaded columns `(all rows,)`: float64 numbers, or codes of categories as integers. `y` are class ids
    as integers, or numbers. With a single column there is nothing else to learn from, and it is no leak.
    """
    chosen = rows[:MAX_ROWS]
    targets = y[chosen].reshape(len(chosen), -1)
    if len(names) < 2 or len(chosen) < MIN_ROWS or targets.shape[1] != 1:
        return
    for name in names:
        if _gives_away(columns[name][chosen], targets[:, 0]):
            message = f"column {quote(name)} alone gives the target away in the first {len(chosen)} training rows"
            remedy = "leave it out unless it is known when you predict"
            yield WarningMessage("leaking_column", "/data/features", f"{message}: {remedy}")


def _gives_away(values: NDArray[Any], targets: NDArray[Any]) -> bool:
    of_numbers, of_classes = values.dtype.kind == "f", targets.dtype.kind == "i"
    if values.ndim != 1 or (of_numbers and np.isnan(values).any()):
        return False
    if of_classes:
        return _one_class_each(_intervals(values, targets) if of_numbers else values, targets)
    return of_numbers and _squared_correlation(values, targets.astype(np.float64)) >= SAME_LINE


def _intervals(values: NDArray[Any], targets: NDArray[Any]) -> NDArray[Any]:
    """Return for each row the number of its interval: neighbours by value with the same class are in one."""
    order = np.argsort(values, kind="stable")
    ordered, classes = values[order], targets[order]
    begins = np.append(False, (classes[1:] != classes[:-1]) & (ordered[1:] != ordered[:-1]))
    found = np.empty(len(values), np.int64)
    found[order] = np.cumsum(begins)
    return found


def _one_class_each(groups: NDArray[Any], targets: NDArray[Any]) -> bool:
    """Return whether each group has rows of one class, with no more groups than twice the classes."""
    names, ids = np.unique(groups, return_inverse=True)
    classes = np.unique(targets)
    if not len(classes) <= len(names) <= 2 * len(classes):
        return False
    low, high = np.full(len(names), np.iinfo(np.int64).max), np.full(len(names), -1)
    np.minimum.at(low, ids.ravel(), targets)
    np.maximum.at(high, ids.ravel(), targets)
    return bool((low == high).all())


def _squared_correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.square(a).sum() * np.square(b).sum())
    return float(a @ b) ** 2 / scale if scale > 0 and np.isfinite(scale) else 0.0
