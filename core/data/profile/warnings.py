"""Warnings of a profile: what is probably wrong with a dataset, and what to do."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.data.cells import quote
from core.data.leaks import leaking_columns
from core.data.schema import Column
from core.data.sources.column_warnings import is_constant, nearly_numeric
from core.warnings import WarningMessage

MIN_ROWS = 20
"""Rows below which values differ in every row by chance."""
MOSTLY = 0.5
"""The part of missing values from which a column is mostly missing."""
MAJORITY = 0.9
"""The part of the rows from which one class makes a target unbalanced."""
SMALL = 10
"""Rows below which a class is hardly learnt."""
MANY = 0.01
"""The part of repeated rows that is warned of."""


def warnings_of(
    page: Sequence[Column],
    target: Column | None,
    loaded: Mapping[str, NDArray[Any]],
    found: Mapping[str, Any],
) -> Iterator[WarningMessage]:
    """Yield the warnings about a page of columns, and about the whole dataset."""
    for place, (column, profiled) in enumerate(zip(page, found["columns"], strict=True)):
        pointer = f"/columns/{place}"
        yield from _of_column(column, profiled, pointer)
        yield from nearly_numeric([column], pointer)
        yield from _of_drift(column, profiled, pointer)
    if target is not None:
        yield from _of_leaks(page, target, loaded)
        yield from _of_classes(target)
    yield from _of_duplicates(found["duplicates"])


def _of_column(column: Column, profiled: Mapping[str, Any], pointer: str) -> Iterator[WarningMessage]:
    name, present = quote(column.name), column.rows - column.missing
    if column.rows > 1 and is_constant(column):
        message = f"column {name} has the same value in every row, which teaches nothing: leave it out"
        yield WarningMessage("constant_column", pointer, message)
    elif present < MOSTLY * column.rows:
        message = f"column {name} is missing in {column.missing} of {column.rows} rows: fill it in, or leave it out"
        yield WarningMessage("mostly_missing", pointer, message)
    if _is_id_like(column, profiled, present):
        message = f"column {name} has another value in every row, as a row number or a key has"
        yield WarningMessage("id_like_column", pointer, f"{message}: leave it out, since new rows have new values")


def _is_id_like(column: Column, profiled: Mapping[str, Any], present: int) -> bool:
    """Return whether all values differ and are consecutive integers, or texts of one word."""
    if present < MIN_ROWS or profiled.get("top", True):
        return False
    if column.type == "number" and column.integers and column.min is not None and column.max is not None:
        return column.max - column.min + 1 == present
    return column.type == "text" and "words" in profiled and profiled["words"]["max"] == 1


def _of_drift(column: Column, profiled: Mapping[str, Any], pointer: str) -> Iterator[WarningMessage]:
    for part, far in profiled.get("drift", {}).items():
        if far["large"]:
            message = f"column {quote(column.name)} is distributed otherwise in the {part} rows than in training"
            remedy = "split so that both are alike, or expect other metrics on new data"
            yield WarningMessage("drift", pointer, f"{message} (distance {far['distance']:.2f} of 1): {remedy}")


def _of_leaks(page: Sequence[Column], target: Column, loaded: Mapping[str, NDArray[Any]]) -> Iterator[WarningMessage]:
    y = loaded[target.name]
    if y.ndim != 1 or y.dtype.kind not in "fi":
        return
    labelled = np.flatnonzero(~np.isnan(y) if y.dtype.kind == "f" else y >= 0)
    names = [column.name for column in page if column.name != target.name and loaded[column.name].shape == y.shape]
    ids = np.unique(y, return_inverse=True)[1] if target.classes else None
    yield from leaking_columns(loaded, names, y, labelled, ids, "/columns")


def _of_classes(target: Column) -> Iterator[WarningMessage]:
    counts = dict(target.classes)
    if len(counts) < 2 or (target.type == "number" and min(counts.values()) == 1):
        return
    name, most = max(counts.items(), key=lambda pair: pair[1])
    total = sum(counts.values())
    if most >= MAJORITY * total:
        message = f"{most} of {total} rows are of the class {quote(name)}, which a net may answer always"
        remedy = "weigh the classes in the loss, and watch the F1 score instead of the accuracy"
        yield WarningMessage("unbalanced_classes", "/target", f"{message}: {remedy}")
    small = [f"{quote(name)} ({count})" for name, count in counts.items() if count < SMALL]
    if small:
        more = f" and {len(small) - 5} more" if len(small) > 5 else ""
        message = f"classes of fewer than {SMALL} rows are hardly learnt: {', '.join(small[:5])}{more}"
        yield WarningMessage("small_class", "/target", f"{message}: add rows, or merge classes")


def _of_duplicates(found: Mapping[str, Any] | None) -> Iterator[WarningMessage]:
    if found is None:
        return
    if found["rows"] > MANY * found["of"]:
        first = found["examples"][0]
        message = f"{found['rows']} of {found['of']} rows repeat an earlier one, the first is row {first['row']}"
        remedy = "remove them, unless each was measured"
        yield WarningMessage("duplicate_rows", "/duplicates", f"{message}: {remedy}")
    for part, count in found["shared_with_training"].items():
        if count:
            message = f"{count} {part} rows are equal to training rows, so that their metrics are too good"
            remedy = "remove the repeated rows, or split by group"
            yield WarningMessage("rows_in_two_parts", "/duplicates/shared_with_training", f"{message}: {remedy}")
