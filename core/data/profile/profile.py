"""The profile of a dataset: one page of its columns, the target, the parts of a split, and warnings."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.data.cells import quote
from core.data.errors import InvalidData
from core.data.prepare import split
from core.data.profile.association import association
from core.data.profile.drift import drift
from core.data.profile.duplicates import repeated_rows, row_hashes, rows_of_both
from core.data.profile.files import MAX_FILES, summarize_pictures, summarize_recordings
from core.data.profile.numbers import summarize_numbers
from core.data.profile.texts import summarize_categories, summarize_texts
from core.data.profile.warnings import warnings_of
from core.data.readers import is_table, load
from core.data.schema import Column, Schema
from core.data.sources.dataset import DatasetReference
from core.data.sources.source import StoredDataset
from core.data.splits import Split
from core.warnings import bounded

MAX_ROWS = 200_000
"""Rows that are looked at; of more, so many are drawn evenly."""
MAX_COLUMNS = 100
"""Columns of a page."""
MAX_CELLS = 20_000_000
"""Cells that are loaded at once: fewer columns of a long table are on a page, and its duplicates are not searched."""
MAX_CLASSES = 100
"""Classes of a target that are listed."""

Loaded = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileQuery:
    """What is asked of a dataset."""

    target: str | None = None
    """The column to predict."""
    split: Split | None = None
    """The parts to compare, as in a job's data; needs a target."""
    seed: int = 0
    """Of the split, as `training.seed` of a job."""
    offset: int = 0
    """Columns to skip."""
    limit: int = MAX_COLUMNS
    """The maximum number of columns."""


def profile(dataset: StoredDataset, query: ProfileQuery) -> dict[str, Any]:
    """Return the profile as JSON.

    Raises
    ------
    InvalidData
        The target is no column, or the split cannot be made.
    InvalidFile
        The file does not match its schema.
    """
    schema = dataset.schema
    target = _target(schema, query.target)
    limit = max(1, min(query.limit, MAX_COLUMNS, MAX_CELLS // max(1, schema.rows)))
    page = schema.columns[query.offset : query.offset + limit]
    whole = _cells(schema) <= MAX_CELLS
    wanted = schema.columns if whole else tuple(dict.fromkeys([*page, *([target] if target else [])]))
    rows = _sample(schema.rows)
    loaded = _load(dataset, wanted, rows)
    parts = _parts(dataset, query, rows)
    columns = [_profile_of(column, loaded, rows, target, parts) for column in page]
    duplicates = _duplicates(schema, loaded, rows, parts) if whole else None
    end = query.offset + len(page)
    found = {
        "rows": schema.rows,
        "profiled_rows": len(rows),
        "columns": columns,
        "next_offset": end if end < len(schema.columns) else None,
        "target": None if target is None else _balance(target),
        "duplicates": duplicates,
        "parts": None if parts is None else {name: int(mask.sum()) for name, mask in parts.items()},
    }
    warnings = bounded(warnings_of(page, target, loaded, found))
    return found | {"warnings": [warning._asdict() for warning in warnings]}


NUMERIC = ("number", "datetime")
"""The types of columns that are loaded as numbers; dates and times are seconds since 1970."""


def _target(schema: Schema, name: str | None) -> Column | None:
    if name is None:
        return None
    column = schema.column(name)
    if column is None:
        raise InvalidData("/data/target", f"there is no column {quote(name)}: name one of the dataset's columns")
    return column


def _cells(schema: Schema) -> int:
    """Return the values of all columns; a file is one."""
    return sum(column.rows * (1 if _is_file(column) else prod(column.shape)) for column in schema.columns)


def _is_file(column: Column) -> bool:
    return column.type in ("image", "audio")


def _sample(rows: int) -> NDArray[np.int64]:
    """Return the rows that are looked at, evenly distributed, in ascending order."""
    if rows <= MAX_ROWS:
        return np.arange(rows)
    return np.linspace(0, rows - 1, MAX_ROWS).round().astype(np.int64)


def _load(dataset: StoredDataset, columns: Sequence[Column], rows: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """Return columns by name, of the rows alone; an array of another length from its first row on."""
    found = load(dataset.path, dataset.schema, [column.name for column in columns])
    return {name: values[rows] if len(values) > rows[-1] else values for name, values in found.items()}


def _parts(dataset: StoredDataset, query: ProfileQuery, rows: NDArray[np.int64]) -> dict[str, NDArray[Any]] | None:
    """Return a mask of the rows for each part of the split, as a job with this seed divides them."""
    if query.split is None:
        return None
    others = (query.target, query.split.reads)
    named = [c.name for c in dataset.schema.columns if c.type in ("category", *NUMERIC) and c.name not in others]
    features: Any = named[:1] if is_table(dataset.schema) and named else None  # one, so that little is read
    data = DatasetReference(id="", features=features, target=query.target, split=query.split)
    found = split(data, dataset, query.seed)
    return {name: np.isin(rows, part) for name, part in found._asdict().items() if part is not None}


def _profile_of(
    column: Column, loaded: Loaded, rows: NDArray[np.int64], target: Column | None, parts: Loaded | None
) -> dict[str, Any]:
    values = loaded[column.name]
    single = values.ndim == 1 and len(values) == len(rows) and values.dtype.kind in "fi"
    known = {"name": column.name, "type": column.type, "rows": column.rows, "missing": column.missing}
    moments = {name: getattr(column, name) for name in ("min", "max", "mean", "std", "distinct")}
    found = known | moments | {"shape": list(column.shape)} | _summary(column, values, rows)
    found["distinct"] = found["distinct"] if column.distinct is None else column.distinct
    if single and target is not None and column != target and loaded[target.name].shape == values.shape:
        found["association"] = _association(_numeric(column, values), _numeric(target, loaded[target.name]))
    if single and parts is not None:
        of_parts = {name: drift(_numeric(column, values), parts["train"], mask) for name, mask in parts.items()}
        found["drift"] = {name: far for name, far in of_parts.items() if far is not None and name != "train"}
    return found


def _association(values: NDArray[Any], target: NDArray[Any]) -> dict[str, Any] | None:
    return None if target.dtype.kind not in "fi" else association(values, target)


def _numeric(column: Column, values: NDArray[Any]) -> NDArray[Any]:
    """Return numbers as floats, also those of an array of integers; codes of categories as they are."""
    return values.astype(np.float64) if column.type in NUMERIC and values.dtype.kind in "fi" else values


def _summary(column: Column, values: NDArray[Any], rows: NDArray[np.int64]) -> dict[str, Any]:
    if column.type in NUMERIC:
        flat = values.reshape(len(values), -1)
        few = flat[: max(1, MAX_ROWS // max(1, flat.shape[1]))]
        of_row = np.repeat(rows[: len(few)] if len(rows) >= len(few) else np.arange(len(few)), few.shape[1])
        return summarize_numbers(few.ravel().astype(np.float64), of_row)
    if column.type == "category":
        return summarize_categories(column)
    if column.type == "image":
        return summarize_pictures(values)
    return summarize_recordings(values) if column.type == "audio" else summarize_texts(values)


def _balance(target: Column) -> dict[str, Any]:
    """Return the classes of the target with their rows, the most frequent first."""
    classes = sorted(target.classes, key=lambda pair: -pair[1])
    counts = [{"value": name, "count": count} for name, count in classes[:MAX_CLASSES]]
    return {"column": target.name, "classes": counts, "number_of_classes": len(classes) or None}


def _duplicates(schema: Schema, loaded: Loaded, rows: NDArray[np.int64], parts: Loaded | None) -> dict[str, Any] | None:
    """Return the rows that repeat others; files are compared where they are few."""
    files = any(map(_is_file, schema.columns))
    columns = [values for values in loaded.values() if len(values) == len(rows)]
    if not columns or (files and len(rows) > 20 * MAX_FILES):
        return None
    contents = [values for values in columns if values.dtype.kind == "O"] if files else columns
    hashes = row_hashes(contents)
    found = repeated_rows(hashes, rows)
    shared: Iterator[tuple[str, int]] = iter(())
    if parts is not None:
        others = [(name, mask) for name, mask in parts.items() if name != "train"]
        shared = ((name, rows_of_both(hashes, mask, parts["train"])) for name, mask in others)
    return found | {"shared_with_training": dict(shared)}
