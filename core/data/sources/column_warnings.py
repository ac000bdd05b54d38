"""Warnings about the columns of a dataset that a job learns from, by their statistics alone."""

from collections.abc import Iterator, Sequence

from core.data.cells import quote, quote_names
from core.data.schema import Column
from core.warnings import WarningMessage

FEATURES = "/data/features"


def left_out(column: Column, problem: str) -> WarningMessage:
    """Warn about a column that no encoder takes by default."""
    empty = column.missing == column.rows
    remedy = "fill it in" if empty else "name it in features to use it, or upload it as another type"
    message = f"column {quote(column.name)} {problem}, and is left out"
    return WarningMessage("column_left_out", FEATURES, f"{message}: {remedy}")


def without_target(column: Column, pointer: str) -> Iterator[WarningMessage]:
    """Yield a warning about the rows in which the target is missing, which are left out."""
    if column.missing:
        message = (
            f"column {quote(column.name)} is missing in {column.missing} of {column.rows} rows, which are left out"
        )
        yield WarningMessage("target_missing", pointer, f"{message}: fill them in to learn from these rows too")


def of_features(columns: Sequence[Column]) -> Iterator[WarningMessage]:
    """Yield the warnings about the columns that are learnt from."""
    constant = [column.name for column in columns if is_constant(column)]
    if constant:
        found = f"{quote_names(constant)} has" if len(constant) == 1 else f"{quote_names(constant)} have"
        message = f"{found} the same value in every row, which teaches nothing: leave it out, or check the file"
        yield WarningMessage("constant_column", FEATURES, message)


def nearly_numeric(columns: Sequence[Column], pointer: str = FEATURES) -> Iterator[WarningMessage]:
    """Yield a warning for each column whose cells are numbers but for a few, so that it is read as words."""
    for column in columns:
        if column.first_not_number is not None and column.type != "number":
            row, cell = column.first_not_number
            count = f"{column.not_numbers} of {column.rows - column.missing} cells are not"
            message = f"column {quote(column.name)} has numbers, but {count}; the first is {quote(cell)} in row {row}"
            remedy = f'correct them, or upload it with types {{"{column.name[:40]}": "category"}} if they are words'
            yield WarningMessage("nearly_numeric", pointer, f"{message}: {remedy}")


def is_constant(column: Column) -> bool:
    """Return whether every row has the same value, by the statistics."""
    if column.missing or column.shape:
        return False
    if column.type in ("number", "datetime"):
        return column.min == column.max
    return column.type == "category" and len(column.classes) == 1
