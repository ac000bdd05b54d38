"""Columns of an uploaded dataset.

A signature follows from the schema; the file is read once, when the job trains.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Len, MaxLen
from numpy.typing import NDArray

from core.data.encoders.encoder import ColumnEncoderOptions
from core.data.errors import InvalidData
from core.data.features.arrays import ArrayFeatures
from core.data.features.table import TableFeatures
from core.data.readers import is_table, load
from core.data.schema import Column, Limits, Schema
from core.data.sources.columns import (
    ColumnName,
    ColumnNames,
    EncodedTarget,
    Feature,
    SelectedColumns,
    TargetColumn,
    class_counts,
    select_columns,
    target_of,
)
from core.data.sources.source import FirstErrorOnly, LoadedData, SourceSignature, StoredDataset
from core.data.splits import Split, chosen_split
from core.data.splits.fraction import Validation
from core.data.splits.split import SplitRule
from core.data.targets import SourceTarget
from core.data.targets.numbers import Numbers
from core.data.targets.standardized import Standardized

MAX_FEATURES = Limits().columns


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetReference:
    """Columns of an uploaded dataset."""

    type: Literal["dataset"] = "dataset"
    """`dataset`."""

    id: Annotated[str, MaxLen(64)]
    """The dataset's id, `ds_…`."""

    features: Annotated[list[Feature], FirstErrorOnly(), Len(1, MAX_FEATURES)] | None = None
    """The columns to learn from, each by its name or with its encoder as `{"column": "review", "encoder": {"type":
    "words"}}`; by default all but the target and texts, and of an archive its files. Of an npz file the one array, by
    default `x`."""

    target: TargetColumn | None = None
    """The column to predict, by its name or with its encoder as `{"column": "income", "encoder": "standard"}`; of an
    npz file by default `y`, of an archive of files `label`."""

    sample_weight: ColumnName | None = None
    """The column with the weight of each row in the loss, numbers that are 0 or above; left out: all equal. It is not
    learnt from."""

    scaling: Literal["standard", "none"] | None = None
    """`standard` brings columns of numbers to mean 0 and standard deviation 1, computed on the training rows; `none`
    leaves them unchanged. By default `standard` for tables; arrays of an npz file are never scaled."""

    validation: Validation | None = None
    """The rows for validation."""

    split: Split | None = None
    """The rows for validation and for a test after the last epoch, instead of `validation`: drawn at random, whole
    groups, the latest rows, or by a column."""

    @property
    def split_rule(self) -> SplitRule:
        """The split that `split` or `validation` asks for. Raises `InvalidData` where both do."""
        return chosen_split(self.validation, self.split)

    @property
    def dataset_id(self) -> str:
        """The id of the dataset that `signature` and `load` need."""
        return self.id

    @property
    def padding(self) -> None:
        """None: rows of a dataset are equally long."""

    def signature(self, schema: Schema | None) -> SourceSignature:
        """Return the number of rows and their shapes.

        Raises `InvalidData` where the dataset or one of its columns does not exist, or cannot be used.
        """
        if schema is None:
            raise _no_such_dataset()
        selected = self._select(schema)
        return SourceSignature(
            rows=selected.features[0].rows - selected.target.missing,
            input_shape=_table_shape(selected) if is_table(schema) else selected.features[0].shape or (1,),
            target=_learnt_target(selected),
            class_counts=None if selected.standardized else class_counts(selected.target),
            warnings=tuple(selected.warnings),
            split_column=selected.split,
            vocabulary=_vocabulary(selected),
            target_scale=None if selected.standardized else _scale(selected.target),
            standardized=selected.standardized,
        )

    def load(self, dataset: StoredDataset | None) -> LoadedData:
        """Read the columns.

        Raises `InvalidData` as `signature` does, and `InvalidFile` where the file does not match the schema.
        """
        if dataset is None:
            raise _no_such_dataset()
        selected = self._select(dataset.schema)
        target = _learnt_target(selected)
        columns = load(dataset.path, dataset.schema, [column.name for column in selected.all])
        inputs = _inputs(selected, columns)
        loaded_y = columns[selected.target.name]
        labelled = _labelled(selected.target, loaded_y)
        y: NDArray[Any] = target.array(loaded_y)
        fit_target = None
        if isinstance(target, Numbers) and selected.standardized:
            y = np.ascontiguousarray(loaded_y.reshape(len(loaded_y), *target.shape), dtype=np.float64)
            fit_target = partial(Standardized.fit, y)
        loaded = LoadedData(
            values=inputs,
            fit=partial(_fit_table, selected, inputs, self.scaling != "none"),
            target=target,
            y=y,
            class_ids=_class_ids(target, loaded_y, labelled) if selected.target.classes else None,
            weights=None if selected.weight is None else columns[selected.weight.name].astype(np.float32).ravel(),
            split_values=None if selected.split is None else _values(selected.split, columns[selected.split.name]),
            fit_target=fit_target,
            labelled=labelled,
        )
        return loaded if is_table(dataset.schema) else _of_array(loaded, columns[selected.features[0].name])

    def _select(self, schema: Schema) -> SelectedColumns:
        if self.scaling == "standard" and not is_table(schema):
            message = "arrays are not scaled: leave it out, or begin the net with a layer that normalizes"
            raise InvalidData("/data/scaling", message)
        rule = self.split_rule
        target, encoder = _named_target(self.target)
        names = ColumnNames(self.features, target, self.sample_weight, rule.reads, rule.keeps_feature, encoder)
        return select_columns(names, schema)


def _named_target(named: str | EncodedTarget | None) -> tuple[str | None, Any]:
    """Return the name of the target and its encoder, None where the spec names none."""
    return (named.column, named.encoder) if isinstance(named, EncodedTarget) else (named, None)


def _learnt_target(selected: SelectedColumns) -> SourceTarget:
    """Return the target as the net learns it; standardized by all rows, about as the training rows will be."""
    target = target_of(selected.target)
    if not (selected.standardized and isinstance(target, Numbers)):
        return target
    mean, std = _scale(selected.target) or (target.min, 1.0)
    low, high = ((number - mean) / std for number in (target.min, target.max))
    return replace(target, integers=False, min=low, max=high, distinct=None)


def _labelled(target: Column, y: NDArray[Any]) -> NDArray[np.int64] | None:
    """Return the rows that have a target; None where all have one."""
    if not target.missing:
        return None
    return np.flatnonzero(y >= 0 if y.dtype.kind == "i" else ~np.isnan(y))


def _class_ids(target: SourceTarget, y: NDArray[Any], labelled: NDArray[np.int64] | None) -> NDArray[np.int64] | None:
    """Return the class of each row `(rows,)`, −1 without a target; None where there are no classes."""
    if labelled is None:
        return target.class_ids(y)
    found = target.class_ids(y[labelled])
    if found is None:
        return None
    ids = np.full(len(y), -1, np.int64)
    ids[labelled] = found
    return ids


def _no_such_dataset() -> InvalidData:
    return InvalidData("/data/id", "there is no such dataset: upload it first")


def _of_array(loaded: LoadedData, x: NDArray[Any]) -> LoadedData:
    """Return the data with one array as its inputs."""
    values = x.reshape(len(x), *(x.shape[1:] or (1,)))
    return loaded._replace(values=values, fit=partial(ArrayFeatures.fit, values))


def _values(column: Column, loaded: NDArray[Any]) -> NDArray[Any]:
    """Return the values that a split reads `(rows,)`: categories by their names."""
    return np.array([name for name, _ in column.classes], object)[loaded] if column.type == "category" else loaded


def _encoded(selected: SelectedColumns) -> Iterator[tuple[Column, ColumnEncoderOptions]]:
    return zip(selected.features, selected.encoders, strict=True)


def _table_shape(selected: SelectedColumns) -> tuple[int, ...]:
    """Return the shape of one row of x, as `TableFeatures.input_shape` will be."""
    shapes = [encoder.shape_for(column) for column, encoder in _encoded(selected)]
    return shapes[0] if len(shapes) == 1 else (sum(width for width, *_ in shapes),)


def _vocabulary(selected: SelectedColumns) -> int | None:
    """Return how many ids an encoder gives, where it gives ids, which are no numbers to be put beside others."""
    sizes = [getattr(encoder, "vocabulary", None) for encoder in selected.encoders if encoder.alone]
    return sizes[0] if sizes else None


def _scale(target: Column) -> tuple[float, float] | None:
    return (target.mean, target.std) if target.mean is not None and target.std else None


def _inputs(selected: SelectedColumns, loaded: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return the columns with categories as texts where their encoder takes texts."""
    as_texts = [c for c, encoder in zip(selected.features, selected.encoders, strict=False) if "text" in encoder.takes]
    return loaded | {column.name: _texts(column, loaded[column.name]) for column in as_texts}


def _texts(column: Column, loaded: NDArray[Any]) -> NDArray[Any]:
    """Return texts `(rows,)`, None for missing ones: categories by their names."""
    if column.type != "category":
        return loaded
    return np.array([*(name for name, _ in column.classes), None], object)[loaded]  # −1, missing, is the last


def _fit_table(
    selected: SelectedColumns, values: Mapping[str, NDArray[Any]], scaled: bool, train: NDArray[np.int64]
) -> TableFeatures:
    return TableFeatures(
        encoders=tuple(
            encoder.fit(column, values[column.name][train], scaled=scaled) for column, encoder in _encoded(selected)
        )
    )
