"""The columns of a dataset that a job uses, chosen from the schema alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple, TypeAlias

from annotated_types import MaxLen

from core.data.cells import quote, quote_names
from core.data.encoders import EncoderOptions, default_encoder
from core.data.encoders.encoder import ColumnEncoderOptions
from core.data.encoders.none import NoneOptions
from core.data.encoders.standard import StandardOptions
from core.data.errors import InvalidData
from core.data.readers import is_archive, is_table
from core.data.schema import Column, Schema
from core.data.sources.column_warnings import left_out, nearly_numeric, of_features, without_target
from core.data.targets import SourceTarget
from core.data.targets.classes import Classes
from core.data.targets.numbers import Numbers
from core.nn.tagged_union import Tagged
from core.spelling import closest
from core.warnings import WarningMessage

FEATURES = "/data/features"
TARGET = "/data/target"
WEIGHT = "/data/sample_weight"
SPLIT = "/data/split/column"
MAX_NAME_CHARACTERS = 256

ColumnName: TypeAlias = Annotated[str, MaxLen(MAX_NAME_CHARACTERS)]


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedColumn:
    """A column with its encoder."""

    column: ColumnName
    """The column's name."""

    encoder: EncoderOptions | None = None
    """How its values become numbers, by default by the type of the column."""


TargetEncoderOptions = Annotated[StandardOptions | NoneOptions, Tagged("TargetEncoder")]


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedTarget:
    """The column to predict with its encoder."""

    column: ColumnName
    """The column's name."""

    encoder: TargetEncoderOptions | None = None
    """`standard`: the net learns numbers with mean 0 and standard deviation 1 of the training rows, predictions and
    metrics are in the column's own unit, and the loss is in the standardized one. `none`: it learns them as they are.
    """


@dataclass(frozen=True)
class NameOrObject:
    """A mark of a text or a dataclass in a spec: an error is about the form that was sent."""

    kind: type

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> dict[str, Any]:
        """Return the core schema of the union, decided by whether the value is a text."""
        choices = {"name": handler.generate_schema(ColumnName), "object": handler.generate_schema(self.kind)}
        return {
            "type": "tagged-union",
            "discriminator": lambda value: "name" if isinstance(value, str) else "object",
            "choices": choices,
        }


Feature: TypeAlias = Annotated[ColumnName | EncodedColumn, NameOrObject(EncodedColumn)]
TargetColumn: TypeAlias = Annotated[ColumnName | EncodedTarget, NameOrObject(EncodedTarget)]


class ColumnNames(NamedTuple):
    """The columns that a spec names."""

    features: Sequence[str | EncodedColumn] | None
    target: str | None
    weight: str | None
    split: str | None = None
    split_is_feature: bool = True
    """Whether the column that the split reads is a feature too, where no features are named."""
    target_encoder: StandardOptions | NoneOptions | None = None


class SelectedColumns(NamedTuple):
    """The columns that a job uses."""

    features: list[Column]
    target: Column
    warnings: list[WarningMessage]
    weight: Column | None
    """The weight of each row in the loss; None: all equal."""
    split: Column | None = None
    """The column that the split reads, if it reads one."""
    encoders: Sequence[ColumnEncoderOptions] = ()
    """Of a table: how each feature is encoded."""

    standardized: bool = False
    """Whether the net learns the target's numbers with mean 0 and standard deviation 1."""

    @property
    def all(self) -> list[Column]:
        """All columns that are read."""
        return [*self.features, self.target, *(column for column in (self.weight, self.split) if column is not None)]


def select_columns(names: ColumnNames, schema: Schema) -> SelectedColumns:
    """Return the columns that a spec names, or the defaults where it names none.

    Raises `InvalidData` for columns that do not exist, or that cannot be used.
    """
    selected = _from_table(names, schema) if is_table(schema) else _from_arrays(names, schema)
    encoder = names.target_encoder
    if encoder is not None and selected.target.type != "number":
        found = f"column {quote(selected.target.name)} is of type {selected.target.type}"
        raise InvalidData(f"{TARGET}/encoder", f"{encoder.type} is for numbers, and {found}: leave the encoder out")
    selected = selected._replace(standardized=isinstance(encoder, StandardOptions))
    of_target = [*nearly_numeric([selected.target], TARGET), *without_target(selected.target, TARGET)]
    selected = selected._replace(warnings=[*of_target, *selected.warnings])
    if names.split is None:
        return selected
    return selected._replace(split=_find(schema, names.split, SPLIT, "name the column that the split reads"))


def target_of(column: Column) -> SourceTarget:
    """Return a column as a target. Raises `InvalidData` for text, a single class, and arrays with missing values."""
    if column.type not in ("number", "category"):
        kind = f"is {column.type}, which cannot be predicted{_first_not_number(column)}"
        message = f"{kind}: name a column of numbers or categories"
        raise InvalidData(TARGET, f"column {quote(column.name)} {message}")
    if column.missing and (column.shape or column.missing == column.rows):
        message = f"has {column.missing} missing values: fill them in, or remove their rows"
        raise InvalidData(TARGET, f"column {quote(column.name)} {message}")
    if column.type == "category":
        if len(column.classes) < 2:
            raise InvalidData(TARGET, f"column {quote(column.name)} has only one class: at least two are needed")
        return Classes(names=tuple(name for name, _ in column.classes))
    if column.min is None or column.max is None:
        raise InvalidData(TARGET, f"column {quote(column.name)} has no numbers")
    return Numbers(
        shape=column.shape or (1,),
        integers=column.integers,
        min=column.min,
        max=column.max,
        distinct=column.distinct,
    )


def _first_not_number(column: Column) -> str:
    """Return where a column that is nearly all numbers has its first other cell; empty for other columns."""
    if column.first_not_number is None:
        return ""
    row, cell = column.first_not_number
    return f"; it has numbers but for {column.not_numbers} cells, the first of them {quote(cell)} in row {row}"


def class_counts(column: Column) -> list[int] | None:
    """Return the rows of each class of a target, to stratify by; None where there are no classes."""
    return [count for _, count in column.classes] or None


def _from_table(names: ColumnNames, schema: Schema) -> SelectedColumns:
    named = names.target or ("label" if is_archive(schema) and schema.column("label") else None)
    target = _find(schema, named, TARGET, "name the column to predict")
    weight = _weight(names, schema, target)
    if names.features is None:
        taken = [target, weight, None if names.split_is_feature else schema.column(names.split or "")]
        return _default_features(target, weight, schema, taken)
    columns: list[Column] = []
    encoders: list[ColumnEncoderOptions] = []
    for place, feature in enumerate(names.features):
        pointer = f"{FEATURES}/{place}"
        encoded = EncodedColumn(column=feature) if isinstance(feature, str) else feature
        of_name = pointer if isinstance(feature, str) else f"{pointer}/column"
        column = _find(schema, encoded.column, of_name, "name a column to learn from")
        problem = _why_empty(column) or _why_taken(column, target, weight, columns)
        if problem:
            raise InvalidData(of_name, f"column {quote(column.name)} {problem}: leave it out")
        columns.append(column)
        encoders.append(_encoder(column, encoded.encoder, f"{pointer}/encoder", len(names.features)))
    warnings = [*nearly_numeric(columns), *of_features(columns)]
    return SelectedColumns(columns, target, warnings, weight, encoders=encoders)


def _encoder(
    column: Column, requested: ColumnEncoderOptions | None, pointer: str, features: int
) -> ColumnEncoderOptions:
    """Return the encoder of a column. Raises `InvalidData` where it does not take the column's values."""
    encoder = requested or default_encoder(column)
    if column.type not in encoder.takes:
        fitting = f"use {default_encoder(column).type}, or set the column's type when you upload the dataset"
        message = f"{encoder.type} does not encode column {quote(column.name)}, which is of type {column.type}"
        raise InvalidData(pointer, f"{message}: {fitting}")
    if encoder.alone and features > 1:
        message = f"{encoder.type} of column {quote(column.name)} cannot be put beside {features - 1} other columns"
        raise InvalidData(FEATURES, f"{message}: name it alone")
    return encoder


def _default_features(
    target: Column, weight: Column | None, schema: Schema, taken: Sequence[Column | None]
) -> SelectedColumns:
    """Return all columns but those taken, without those that cannot be used."""
    if is_archive(schema):
        files = schema.columns[0]
        return SelectedColumns([files], target, [], weight, encoders=[default_encoder(files)])
    others = [column for column in schema.columns if not any(column is other for other in taken)]
    usable = [column for column in others if not _why_left_out(column)]
    if not usable:
        usable = [column for column in others if not _why_empty(column)][:1]
    if not usable:
        raise InvalidData(FEATURES, "there is no column to learn from besides the target: upload more columns")
    warnings = [left_out(column, _why_left_out(column)) for column in others if column not in usable]
    warnings += [*nearly_numeric(others), *of_features(usable)]
    return SelectedColumns(usable, target, warnings, weight, encoders=list(map(default_encoder, usable)))


def _why_empty(column: Column) -> str:
    """Return why a net cannot learn from a column of a table; empty where it can."""
    return "has no values" if column.missing == column.rows else ""


def _why_left_out(column: Column) -> str:
    """Return why a column of a table is no feature unless it is named; empty where it is one."""
    if column.names_rows:
        return "has the names of the rows"
    return _why_empty(column) or (f"is {column.type}" if default_encoder(column).alone else "")


def _why_taken(column: Column, target: Column, weight: Column | None, features: list[Column]) -> str:
    """Return what else a column is used for; empty where it is free."""
    if column is target:
        return "is the target"
    if column is weight:
        return "is the sample_weight"
    return "is named twice" if column in features else ""


def _weight(names: ColumnNames, schema: Schema, target: Column) -> Column | None:
    """Return the column of weights. Raises `InvalidData` where it does not have one weight for each row."""
    if names.weight is None:
        return None
    column = _find(schema, names.weight, WEIGHT, "name the column of weights")
    problem = _why_no_weight(column, target)
    if problem:
        remedy = "name a column of numbers that are 0 or above, or leave it out"
        raise InvalidData(WEIGHT, f"column {quote(column.name)} {problem}: {remedy}")
    return column


def _why_no_weight(column: Column, target: Column) -> str:
    """Return why a column cannot weight the rows; empty where it can."""
    if column is target:
        return "is the target"
    if column.type != "number" or column.shape or column.missing or column.rows != target.rows:
        return "does not have one number for each row"
    if not column.max:
        return "has no number above 0"
    return "has numbers below 0" if (column.min or 0) < 0 else ""


def _from_arrays(names: ColumnNames, schema: Schema) -> SelectedColumns:
    chosen = names.features or ["x"]
    if len(chosen) != 1:
        raise InvalidData(FEATURES, "must name one array: a net has one input")
    if isinstance(chosen[0], EncodedColumn):
        raise InvalidData(FEATURES, "has an encoder, and arrays are learnt from as they are: give the array's name")
    features = _find(schema, chosen[0], FEATURES, "name the array to learn from")
    target = _find(schema, names.target or "y", TARGET, "name the array to predict")
    if features.type != "number" or features.missing:
        problem = f"has {features.missing} missing numbers (NaN)" if features.missing else "has texts"
        raise InvalidData(FEATURES, f"array {quote(features.name)} {problem}: upload an array of numbers")
    if features.rows != target.rows:
        found = f"has {target.rows} rows and {quote(features.name)} has {features.rows}"
        raise InvalidData(TARGET, f"array {quote(target.name)} {found}: name arrays with the same number of rows")
    return SelectedColumns([features], target, [], _weight(names, schema, target))


def _meant(name: str, schema: Schema) -> str:
    meant = closest(name, (column.name for column in schema.columns))
    return f"did you mean {quote(meant)}? Or " if meant else ""


def _find(schema: Schema, name: str | None, pointer: str, instruction: str) -> Column:
    columns = f"the dataset has {quote_names([column.name for column in schema.columns])}"
    if name is None:
        raise InvalidData(pointer, f"is required: {instruction}; {columns}")
    column = schema.column(name)
    if column is None:
        raise InvalidData(pointer, f"there is no {quote(name)}: {_meant(name, schema)}{instruction}; {columns}")
    return column
