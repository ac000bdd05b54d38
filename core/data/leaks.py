"""Columns that teach nothing, and columns that alone give the target away.

The latter are most likely the target in another form, which is unknown at a prediction.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.data.cells import quote, quote_names
from core.warnings import WarningMessage

MIN_ROWS = 20
"""Rows below which a column gives the target away by chance."""
PART_OF_CHANCE = 0.25
"""The part of the groups expected by chance that a column may have at most to give classes away."""
MAX_ROWS = 10_000
"""Rows that are looked at."""
MAX_ARRAY_COLUMNS = 63
"""Columns of an array up to which each is looked at; with more they are most likely pixels or samples."""
SAME_LINE = 1 - 1e-9
"""The squared correlation from which two columns of numbers are the same but for scale."""


def array_warnings(
    x: NDArray[Any], y: NDArray[Any], rows: NDArray[np.int64], class_ids: NDArray[np.int64] | None, pointer: str
) -> Iterator[WarningMessage]:
    """Yield warnings about the columns of an array `(all rows, columns)`, named by their numbers from 0.

    Other shapes have no columns, and a single one is all that there is to learn from.
    """
    if x.ndim != 2 or not 1 < x.shape[1] <= MAX_ARRAY_COLUMNS:
        return
    chosen = x[rows]
    constant = [str(number) for number in np.flatnonzero(chosen.min(axis=0) == chosen.max(axis=0))]
    if constant and len(rows) > 1:
        found = f"{quote_names(constant)} of x {'has' if len(constant) == 1 else 'have'}"
        message = f"{found} the same value in every training row, which teaches nothing: leave it out, or check it"
        yield WarningMessage("constant_column", pointer, message)
    columns = {str(number): x[:, number].astype(np.float64) for number in range(x.shape[1])}
    yield from leaking_columns(columns, list(columns), y, rows, class_ids, pointer)


def leaking_columns(
    columns: Mapping[str, NDArray[Any]],
    names: Sequence[str],
    y: NDArray[Any],
    rows: NDArray[np.int64],
    class_ids: NDArray[np.int64] | None = None,
    pointer: str = "/data/features",
) -> Iterator[WarningMessage]:
    """Yield a warning for each of the columns `names` that gives the target `y` away in these rows.

    `columns` are loaded columns `(all rows,)`: float64 numbers, or codes of categories as integers. `y` are class ids
    as integers, or numbers; of integers that may be class ids, `class_ids` are the ids.
    With a single column there is nothing else to learn from, and it is no leak.
    """
    chosen = rows[:MAX_ROWS]
    targets = y[chosen].reshape(len(chosen), -1)
    if len(names) < 2 or len(chosen) < MIN_ROWS or targets.shape[1] != 1:
        return
    forms = [targets[:, 0]] if class_ids is None else [targets[:, 0], class_ids[chosen]]
    for name in names:
        if any(_gives_away(columns[name][chosen], form) for form in forms):
            message = f"column {quote(name)} alone gives the target away in the first {len(chosen)} training rows"
            remedy = "leave it out unless it is known when you predict"
            yield WarningMessage("leaking_column", pointer, f"{message}: {remedy}")


def _gives_away(values: NDArray[Any], targets: NDArray[Any]) -> bool:
    of_numbers, of_classes = values.dtype.kind == "f", targets.dtype.kind == "i"
    if values.ndim != 1 or values.dtype.kind not in "fi" or (of_numbers and np.isnan(values).any()):
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
    """Return whether each group has rows of one class, with far fewer groups than by chance.

    At most twice the classes, and a part of the runs of one class that rows in random order have: n · (1 − Σ p²) + 1
    for n rows and classes of the parts p. So a rare class that happens to be the largest number is no leak.
    """
    names, ids = np.unique(groups, return_inverse=True)
    classes, counts = np.unique(targets, return_counts=True)
    rows = len(targets)
    by_chance = rows - float(np.square(counts.astype(np.float64)).sum()) / rows + 1
    if not len(classes) <= len(names) <= min(2 * len(classes), PART_OF_CHANCE * by_chance):
        return False
    low, high = np.full(len(names), np.iinfo(np.int64).max), np.full(len(names), -1)
    np.minimum.at(low, ids.ravel(), targets)
    np.maximum.at(high, ids.ravel(), targets)
    return bool((low == high).all())


def _squared_correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.square(a).sum() * np.square(b).sum())
    return float(a @ b) ** 2 / scale if scale > 0 and np.isfinite(scale) else 0.0
