"""Preparation of a job's data: arrays to train with and, before that, their shapes without reading the data."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.data.errors import InvalidData
from core.data.features import Features
from core.data.features.arrays import ArrayFeatures
from core.data.features.table import TableFeatures
from core.data.leaks import array_warnings, leaking_columns
from core.data.schema import Schema
from core.data.sources.source import LoadedData, Source, StoredDataset
from core.data.splits.split import KnownRows, LoadedRows, Parts
from core.data.targets import SourceTarget, Target
from core.data.targets.classes import Classes
from core.data.targets.embeddings import Embeddings
from core.data.targets.labels import Labels
from core.data.targets.standardized import Standardized
from core.warnings import WarningMessage

SAMPLE_WEIGHT = "sample_weight"
"""The field of the weights in every source that has them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """The number of rows of a job's data, and their shapes."""

    rows: int
    """All rows."""

    train_rows: int
    """Rows for training; an estimate where only the values of a column tell."""

    validation_rows: int
    """Rows for validation, likewise."""

    test_rows: int
    """Rows for testing, likewise."""

    input_shape: tuple[int, ...]
    """The shape of one row of x."""

    target: SourceTarget
    """What the net is to predict."""

    class_counts: Sequence[int] | None = None
    """Rows of each class, or of each integer that may be one; None where there are none."""

    warnings: tuple[WarningMessage, ...] = ()
    """Messages for the client, such as columns that were left out."""

    vocabulary: int | None = None
    """How many ids the inputs may be, where they are ids of tokens or categories."""

    target_scale: tuple[float, float] | None = None
    """Mean and standard deviation of targets that are numbers, where they differ."""

    standardized: bool = False
    """Whether the net learns numbers in another scale than their own."""

    @property
    def bytes(self) -> int:
        """Bytes of x and y as prepared."""
        return self.rows * (4 * math.prod(self.input_shape) + self.target.row_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """The arrays of a training, all C-contiguous."""

    x: NDArray[np.float32]
    """(training rows, *input shape)."""

    y: NDArray[np.float32] | NDArray[np.int64]
    """Numbers (training rows, *target shape), class ids (training rows,), or class ids of steps (rows, steps)."""

    x_validation: NDArray[np.float32] | None
    """(validation rows, *input shape); None without validation."""

    y_validation: NDArray[np.float32] | NDArray[np.int64] | None
    """As y; None without validation."""

    sample_weight: NDArray[np.float32] | None
    """Weight of each training row in the loss (training rows,); None: all equal."""

    sample_weight_validation: NDArray[np.float32] | None
    """Weight of each validation row in the loss (validation rows,); None: all equal."""

    x_test: NDArray[np.float32] | None = None
    """(test rows, *input shape); None without a test."""

    y_test: NDArray[np.float32] | NDArray[np.int64] | None = None
    """As y; None without a test."""

    sample_weight_test: NDArray[np.float32] | None = None
    """Weight of each test row in the loss (test rows,); None: all equal."""

    lengths: NDArray[np.int64] | None
    """Steps of each training row (training rows,) before padding at their end; None: all of them."""

    warnings: tuple[WarningMessage, ...] = ()
    """What is probably not meant, as the rows show."""

    features: Features
    """Turns the instances of a prediction into rows of x."""

    target: Target
    """Turns outputs into answers."""

    @property
    def in_own_unit(self) -> Callable[[NDArray[Any]], NDArray[np.float64]] | None:
        """Turns outputs of the net, or y, into numbers of the target's unit; None where they are."""
        return self.target.in_own_unit if isinstance(self.target, Standardized) else None

    def with_classes(self, number: int) -> "Prepared":
        """Return the same with integers 0, 1, … as ids of `number` classes, named by their numbers.

        For a loss over classes on a target of numbers, one for each row or for each of its steps. That they are
        integers below `number` is checked before, with the signature.
        """
        names = tuple(map(str, range(number)))
        y_validation, y_test = (None if y is None else _integer_ids(y) for y in (self.y_validation, self.y_test))
        target = Classes(names=names)
        return replace(self, y=_integer_ids(self.y), y_validation=y_validation, y_test=y_test, target=target)

    def with_labels(self) -> "Prepared":
        """Return the same with integers as labels of sequences, 0 for padding."""
        return replace(self, target=Labels(max_labels=math.prod(self.y.shape[1:])))

    def with_embeddings(self, size: int) -> "Prepared":
        """Return the same with answers of `size` numbers a row, for a loss that compares rows."""
        return replace(self, target=Embeddings(size=size))


def signature(data: Source, schema: Schema | None) -> Signature:
    """Return the number of rows and their shapes; `schema` is that of the dataset `data.dataset_id`, if there is one.

    Raises `InvalidData` for everything that can be known to be wrong without reading a dataset.
    """
    found = data.signature(schema)
    counts = data.split_rule.count(KnownRows(found.rows, found.class_counts, found.split_column))
    return Signature(
        rows=found.rows,
        train_rows=counts.train,
        validation_rows=counts.validation,
        test_rows=counts.test,
        input_shape=found.input_shape,
        target=found.target,
        class_counts=found.class_counts,
        warnings=found.warnings,
        vocabulary=found.vocabulary,
        target_scale=found.target_scale,
        standardized=found.standardized,
    )


def split(data: Source, dataset: StoredDataset | None, seed: int) -> Parts:
    """Return the rows of each part, as `prepare` with this seed divides them. Raises as `prepare` does."""
    return _split(data, data.load(dataset), seed)


def prepare(data: Source, dataset: StoredDataset | None, seed: int) -> Prepared:
    """Return the arrays to train with; the seed decides which rows are held out, where the split draws them.

    Raises `InvalidData` as `signature` does, and `InvalidFile` where a dataset's file does not match its schema.
    """
    loaded = data.load(dataset)
    y, weights = loaded.y, loaded.weights
    parts = train, validation, test = _split(data, loaded, seed)
    _require_weights(weights, parts)
    features, target = loaded.fit(train), loaded.target if loaded.fit_target is None else loaded.fit_target(train)
    if isinstance(target, Standardized):
        y = target.array(y)
    return Prepared(
        x=features.transform(loaded.values, train),
        y=y[train],
        x_validation=None if validation is None else features.transform(loaded.values, validation),
        y_validation=None if validation is None else y[validation],
        sample_weight=None if weights is None else weights[train],
        sample_weight_validation=None if weights is None or validation is None else weights[validation],
        x_test=None if test is None else features.transform(loaded.values, test),
        y_test=None if test is None else y[test],
        sample_weight_test=None if weights is None or test is None else weights[test],
        lengths=None if loaded.lengths is None else loaded.lengths[train],
        warnings=tuple(_warnings(data, loaded, features, train)),
        features=features,
        target=target,
    )


def _warnings(
    data: Source, loaded: LoadedData, features: Features, train: NDArray[np.int64]
) -> Iterator[WarningMessage]:
    if isinstance(features, TableFeatures):
        names = [encoder.column for encoder in features.encoders]
        yield from leaking_columns(loaded.values, names, loaded.y, train, loaded.class_ids)
    elif isinstance(features, ArrayFeatures):
        pointer = "/data/features" if data.dataset_id else "/data/x"
        yield from array_warnings(loaded.values, loaded.y, train, loaded.class_ids, pointer)


def require_weights(data: Source, seed: int) -> None:
    """Raise `InvalidData` where all rows of a part weigh nothing; `data` needs no dataset."""
    loaded = data.load(None)
    _require_weights(loaded.weights, _split(data, loaded, seed))


def _require_weights(weights: NDArray[np.float32] | None, parts: Parts) -> None:
    for name, rows in zip(("training", "validation", "test"), parts, strict=True):
        if weights is not None and rows is not None and not weights[rows].any():
            message = f"is 0 for all {len(rows)} {name} rows of this split, so nothing is measured there"
            raise InvalidData(
                f"/data/{SAMPLE_WEIGHT}", f"{message}: give one a weight, or change the split or the seed"
            )


def _split(data: Source, loaded: LoadedData, seed: int) -> Parts:
    rule, rows = data.split_rule, loaded.labelled
    if rows is None:
        return rule.split(LoadedRows(len(loaded.y), loaded.class_ids, loaded.split_values), seed)
    ids, values = (None if array is None else array[rows] for array in (loaded.class_ids, loaded.split_values))
    parts = rule.split(LoadedRows(len(rows), ids, values), seed)
    held_out = (None if part is None else rows[part] for part in parts[1:])
    return Parts(rows[parts.train], *held_out)


def _integer_ids(y: NDArray[Any]) -> NDArray[np.int64]:
    """Return `(rows,)` where each row has a single number, else the shape of `y`."""
    ids = y.astype(np.int64)
    return ids.ravel() if ids.shape[1:] == (1,) else ids
