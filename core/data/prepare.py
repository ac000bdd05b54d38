"""Preparation of a job's data: arrays to train with and, before that, their shapes without reading the data."""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.data.features import Features
from core.data.schema import Schema
from core.data.sources.source import Source, StoredDataset
from core.data.split import count_validation_rows, split_rows
from core.data.targets import SourceTarget, Target
from core.data.targets.classes import Classes
from core.data.targets.embeddings import Embeddings
from core.data.targets.labels import Labels


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """The number of rows of a job's data, and their shapes."""

    rows: int
    """All rows."""

    train_rows: int
    """Rows for training."""

    validation_rows: int
    """Rows for validation."""

    input_shape: tuple[int, ...]
    """The shape of one row of x."""

    target: SourceTarget
    """What the net is to predict."""

    warnings: tuple[str, ...] = ()
    """Messages for the client, such as columns that were left out."""

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

    lengths: NDArray[np.int64] | None
    """Steps of each training row (training rows,) before padding at their end; None: all of them."""

    features: Features
    """Turns the instances of a prediction into rows of x."""

    target: Target
    """Turns outputs into answers."""

    def with_classes(self, number: int) -> "Prepared":
        """Return the same with integers 0, 1, … as ids of `number` classes, named by their numbers.

        For a loss over classes on a target of numbers, one for each row or for each of its steps. That they are
        integers below `number` is checked before, with the signature.
        """
        names = tuple(map(str, range(number)))
        y_validation = None if self.y_validation is None else _integer_ids(self.y_validation)
        return replace(self, y=_integer_ids(self.y), y_validation=y_validation, target=Classes(names=names))

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
    validation_rows = count_validation_rows(data.validation, found.rows, found.class_counts)
    return Signature(
        rows=found.rows,
        train_rows=found.rows - validation_rows,
        validation_rows=validation_rows,
        input_shape=found.input_shape,
        target=found.target,
        warnings=found.warnings,
    )


def prepare(data: Source, dataset: StoredDataset | None, seed: int) -> Prepared:
    """Return the arrays to train with; the seed decides which rows are for validation.

    Raises `InvalidData` as `signature` does, and `InvalidFile` where a dataset's file does not match its schema.
    """
    loaded = data.load(dataset)
    y, weights = loaded.y, loaded.weights
    count_validation_rows(data.validation, len(y), loaded.class_counts())
    train, validation = split_rows(data.validation, loaded.class_ids, len(y), seed)
    features = loaded.fit(train)
    return Prepared(
        x=features.transform(loaded.values, train),
        y=y[train],
        x_validation=None if validation is None else features.transform(loaded.values, validation),
        y_validation=None if validation is None else y[validation],
        sample_weight=None if weights is None else weights[train],
        sample_weight_validation=None if weights is None or validation is None else weights[validation],
        lengths=None if loaded.lengths is None else loaded.lengths[train],
        features=features,
        target=loaded.target,
    )


def _integer_ids(y: NDArray[Any]) -> NDArray[np.int64]:
    """Return `(rows,)` where each row has a single number, else the shape of `y`."""
    ids = y.astype(np.int64)
    return ids.ravel() if ids.shape[1:] == (1,) else ids
