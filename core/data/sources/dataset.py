"""Which columns of an uploaded dataset a job learns from, and which it predicts.

Everything is decided by the schema; the file is read once, when the job trains.
"""

from collections.abc import Sequence
from typing import NamedTuple

from core.data.cells import shown
from core.data.errors import InvalidData
from core.data.readers.csv import listed
from core.data.schema import Column, Schema
from core.data.sources.source import DatasetReference
from core.data.targets import Classes, Numbers, Told

FEATURES = "/data/features"
TARGET = "/data/target"
WEIGHT = "/data/sample_weight"


class Chosen(NamedTuple):
    """The columns that a job needs."""

    features: list[Column]
    target: Column
    warnings: list[str]
    weight: Column | None
    """How much each row counts; none: all alike."""


def choose(data: DatasetReference, schema: Schema) -> Chosen:
    """The columns that a reference names, or that stand where it names none.

    Raises `InvalidData` for columns that are not there, or that nothing can be learnt from.
    """
    return _of_table(data, schema) if schema.table else _of_arrays(data, schema)


def target_of(column: Column) -> Told:
    """What a column is as a target. Raises `InvalidData` for text, missing values and a single class."""
    if column.type == "text":
        message = (
            f"column {shown(column.name)} is text, which cannot be predicted: name a column of numbers or categories"
        )
        raise InvalidData(TARGET, message)
    if column.missing:
        message = f"column {shown(column.name)} lacks {column.missing} values: fill them in, or take out their rows"
        raise InvalidData(TARGET, message)
    if column.type == "category":
        if len(column.classes) < 2:
            raise InvalidData(
                TARGET, f"column {shown(column.name)} holds one class alone: there is nothing to tell apart"
            )
        return Classes(names=tuple(name for name, _ in column.classes))
    if column.min is None or column.max is None:
        raise InvalidData(TARGET, f"column {shown(column.name)} holds no number")
    return Numbers(
        shape=column.shape or (1,),
        integers=column.integers,
        least=column.min,
        most=column.max,
        distinct=column.distinct,
    )


def _of_table(data: DatasetReference, schema: Schema) -> Chosen:
    target = _found(schema, data.target, TARGET, "name the column to predict")
    weight = _weight(data, schema, target)
    if data.features is None:
        return _all_but(target, weight, schema)
    columns: list[Column] = []
    for place, name in enumerate(data.features):
        pointer = f"{FEATURES}/{place}"
        column = _found(schema, name, pointer, "name a column to learn from")
        wrong = _useless(column) or (
            "is the target"
            if column is target
            else "is the weight"
            if column is weight
            else "stands here twice"
            if column in columns
            else ""
        )
        if wrong:
            raise InvalidData(pointer, f"column {shown(name)} {wrong}: leave it out")
        columns.append(column)
    return Chosen(columns, target, [], weight)


def _weight(data: DatasetReference, schema: Schema, target: Column) -> Column | None:
    """The column that says how much each row counts. Raises `InvalidData` where it holds no such numbers."""
    if data.sample_weight is None:
        return None
    column = _found(schema, data.sample_weight, WEIGHT, "name the column of weights")
    if column is target or column.type != "number" or column.shape or column.missing or column.rows != target.rows:
        wrong = "is not one number for each row, beside the target"
    elif (column.min or 0) < 0 or not column.max:
        wrong = "holds numbers below 0" if column.max else "holds no number above 0"
    else:
        return column
    raise InvalidData(WEIGHT, f"column {shown(column.name)} {wrong}: name one of numbers from 0 up, or leave it out")


def _all_but(target: Column, weight: Column | None, schema: Schema) -> Chosen:
    others = [column for column in schema.columns if column is not target and column is not weight]
    useful = [column for column in others if not _useless(column)]
    if not useful:
        raise InvalidData(FEATURES, "there is no column to learn from beside the target: upload more columns")
    warnings = [
        f"column {shown(column.name)} {_useless(column)}, and is left out" for column in others if _useless(column)
    ]
    return Chosen(useful, target, warnings, weight)


def _useless(column: Column) -> str:
    """Why nothing can be learnt from a column of a table; empty where something can."""
    if column.missing == column.rows:
        return "has no values"
    return "is text" if column.type == "text" else ""


def _of_arrays(data: DatasetReference, schema: Schema) -> Chosen:
    if data.scaling == "standard":
        raise InvalidData(
            "/data/scaling", "arrays go to the net as they are: leave it out, or put a layer that normalizes"
        )
    names = data.features or ["x"]
    if len(names) != 1:
        raise InvalidData(FEATURES, "of an archive one array is learnt from: name it alone")
    features = _found(schema, names[0], FEATURES, "name the array to learn from")
    target = _found(schema, data.target or "y", TARGET, "name the array to predict")
    if features.type != "number" or features.missing:
        wrong = f"lacks {features.missing} numbers (NaN)" if features.missing else "holds texts"
        raise InvalidData(FEATURES, f"array {shown(features.name)} {wrong}: upload one of numbers alone")
    if features.rows != target.rows:
        message = (
            f"has {target.rows} rows where {shown(features.name)} has {features.rows}: name two of equally many rows"
        )
        raise InvalidData(TARGET, f"array {shown(target.name)} {message}")
    return Chosen([features], target, [], _weight(data, schema, target))


def _found(schema: Schema, name: str | None, pointer: str, wanted: str) -> Column:
    columns = f"the dataset has {listed([column.name for column in schema.columns])}"
    if name is None:
        raise InvalidData(pointer, f"is not there: {wanted}; {columns}")
    column = schema.column(name)
    if column is None:
        raise InvalidData(pointer, f"there is no {shown(name)}: {wanted}; {columns}")
    return column


def counts_of(column: Column) -> Sequence[int] | None:
    """The rows of each class of a target, by which it can be stratified; none where there are no classes."""
    return [count for _, count in column.classes] or None
