"""From a job's data to what a net is trained with; and, before that, what can be said of it without reading it.

`signature` and `prepare` go the same way, one over the schema and one over the values, so that their shapes agree.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.data.encoders.encoder import fit, width
from core.data.errors import InvalidData
from core.data.features import ArrayFeatures, Features, SequenceFeatures, TableFeatures
from core.data.readers.formats import load
from core.data.schema import Column, Schema
from core.data.sources.builtin import Builtin
from core.data.sources.dataset import choose, counts_of, target_of
from core.data.sources.source import DatasetReference, Inline
from core.data.split import held_out, split
from core.data.targets import Classes, Embeddings, Labels, Target, Told


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """What a net will be trained with: how many rows, and of what shape."""

    rows: int
    """All rows."""

    train_rows: int
    """Those that are trained on."""

    validation_rows: int
    """Those that are held out."""

    input_shape: tuple[int, ...]
    """The shape of one row of x."""

    target: Told
    """What is to be learnt."""

    warnings: tuple[str, ...] = ()
    """What a client should know, such as columns that were left out."""

    @property
    def bytes(self) -> int:
        """Bytes of x and y as prepared."""
        y = 8 if isinstance(self.target, Classes) else 4 * math.prod(self.target.shape)
        return self.rows * (4 * math.prod(self.input_shape) + y)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What a net is trained with, all arrays C-contiguous."""

    x: NDArray[np.float32]
    """(training rows, *input shape)."""

    y: NDArray[np.float32] | NDArray[np.int64]
    """Numbers (training rows, *target shape), or ids of classes (training rows,), of steps (training rows, steps)."""

    x_validation: NDArray[np.float32] | None
    """(validation rows, *input shape), where rows are held out."""

    y_validation: NDArray[np.float32] | NDArray[np.int64] | None
    """As y."""

    sample_weight: NDArray[np.float32] | None
    """How much each training row counts (training rows,); None: all alike."""

    sample_weight_validation: NDArray[np.float32] | None
    """How much each validation row counts (validation rows,); None: all alike."""

    lengths: NDArray[np.int64] | None
    """How many steps each training row has (training rows,), where they are padded after them; None: all."""

    features: Features
    """How records become rows of x."""

    target: Target
    """How outputs become answers."""

    def with_classes(self, number: int) -> "Prepared":
        """The same with whole numbers 0, 1, … as ids of `number` classes, named by their numbers.

        For a loss over classes on a target of numbers, one for each row or for each of its steps; that these are whole
        and below `number` is checked with the signature, before.
        """
        names = tuple(map(str, range(number)))
        y_validation = None if self.y_validation is None else _whole(self.y_validation)
        return replace(self, y=_whole(self.y), y_validation=y_validation, target=Classes(names=names))

    def with_labels(self) -> "Prepared":
        """The same with whole numbers as labels of sequences, where 0 is none."""
        return replace(self, target=Labels(most=math.prod(self.y.shape[1:])))

    def with_embeddings(self, size: int) -> "Prepared":
        """The same with answers of so many numbers a row, for a loss that compares rows."""
        return replace(self, target=Embeddings(size=size))


def _whole(y: NDArray[Any]) -> NDArray[np.int64]:
    """`(rows,)` where each row has a single number, else of the shape of `y`."""
    ids = y.astype(np.int64)
    return ids.ravel() if ids.shape[1:] == (1,) else ids


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A dataset's file beside its schema."""

    path: Path
    schema: Schema


def signature(data: Inline | Builtin | DatasetReference, schema: Schema | None) -> Signature:
    """What the data will be; for a dataset (and for it alone) the schema is needed, and nothing is read.

    Raises `InvalidData` for everything that can be known to be wrong.
    """
    plan = _of_dataset(data, schema) if isinstance(data, DatasetReference) else _of_arrays(data)
    held = held_out(data.validation, plan.rows, plan.counts)
    return Signature(
        rows=plan.rows,
        train_rows=plan.rows - held,
        validation_rows=held,
        input_shape=plan.input_shape,
        target=plan.target,
        warnings=plan.warnings,
    )


def prepare(data: Inline | Builtin | DatasetReference, stored: Stored | None, seed: int) -> Prepared:
    """The arrays to train with; which rows are held out follows from the seed.

    Raises `InvalidData` as `signature` does, and `InvalidFile` where a dataset's file is not what its schema says.
    """
    loaded = _read_dataset(data, stored) if isinstance(data, DatasetReference) else _read_arrays(data)
    held_out(data.validation, len(loaded.y), loaded.counts())
    train, held = split(data.validation, loaded.ids, len(loaded.y), seed)
    features = loaded.fit(train)
    return Prepared(
        x=features.transform(loaded.values, train),
        y=loaded.y[train],
        x_validation=None if held is None else features.transform(loaded.values, held),
        y_validation=None if held is None else loaded.y[held],
        sample_weight=None if loaded.weights is None else loaded.weights[train],
        sample_weight_validation=None if loaded.weights is None or held is None else loaded.weights[held],
        lengths=None if loaded.lengths is None else loaded.lengths[train],
        features=features,
        target=loaded.target,
    )


class _Plan(NamedTuple):
    rows: int
    input_shape: tuple[int, ...]
    target: Told
    counts: Sequence[int] | None  # rows of each class, where there are classes to stratify by
    warnings: tuple[str, ...] = ()


class _Loaded(NamedTuple):
    values: Any  # what the features transform
    fit: Callable[[NDArray[np.int64]], Any]  # from training rows to features
    y: NDArray[Any]
    ids: NDArray[np.int64] | None  # classes to stratify by
    target: Told
    weights: NDArray[np.float32] | None
    lengths: NDArray[np.int64] | None = None

    def counts(self) -> list[int] | None:
        return None if self.ids is None else _counted(self.ids)


def _of_arrays(data: Inline | Builtin) -> _Plan:
    x, y, target, _ = data.arrays()
    ids = _ids(y, target)
    return _Plan(len(x), x.shape[1:], target, None if ids is None else _counted(ids))


def _read_arrays(data: Inline | Builtin) -> _Loaded:
    x, y, target, weights = data.arrays()
    features, lengths = _as_they_are(data, x.shape[1:])
    return _Loaded(x, lambda _: features, _typed(y, target), _ids(y, target), target, weights, lengths)


def _as_they_are(data: Inline | Builtin, shape: tuple[int, ...]) -> tuple[Features, NDArray[np.int64] | None]:
    """The features of rows that nothing is fitted to; and how long each is, where padding comes after its steps."""
    if isinstance(data, Builtin) or data.padding is None:
        return ArrayFeatures(shape=shape), None
    padding = data.padding
    lengths = np.fromiter(map(len, data.x), np.int64, len(data.x)) if padding.side == "post" else None
    return SequenceFeatures(shape=shape, value=padding.value, side=padding.side), lengths


def _ids(y: NDArray[Any], target: Told) -> NDArray[np.int64] | None:
    """Ids of classes, or whole numbers that may be such."""
    single = isinstance(target, Classes) or (target.integers and target.shape == (1,))
    return np.unique(y, return_inverse=True)[1].ravel() if single else None


def _counted(ids: NDArray[np.int64]) -> list[int]:
    return [int(count) for count in np.bincount(ids) if count]


def _typed(y: NDArray[Any], target: Told) -> NDArray[Any]:
    if isinstance(target, Classes):
        return y.astype(np.int64)
    return np.ascontiguousarray(y.reshape(len(y), *target.shape), dtype=np.float32)


def _of_dataset(data: DatasetReference, schema: Schema | None) -> _Plan:
    if schema is None:
        raise InvalidData("/data/id", "there is no such dataset: upload it first")
    chosen = choose(data, schema)
    first = chosen.features[0]
    shape = (sum(map(width, chosen.features)),) if schema.table else first.shape or (1,)
    return _Plan(first.rows, shape, target_of(chosen.target), counts_of(chosen.target), tuple(chosen.warnings))


def _read_dataset(data: DatasetReference, stored: Stored | None) -> _Loaded:
    if stored is None:
        raise InvalidData("/data/id", "there is no such dataset: upload it first")
    chosen = choose(data, stored.schema)
    target = target_of(chosen.target)
    columns = [*chosen.features, chosen.target, *filter(None, [chosen.weight])]
    values = load(stored.path, stored.schema, [column.name for column in columns])
    y = values[chosen.target.name]
    weights = None if chosen.weight is None else values[chosen.weight.name].astype(np.float32).ravel()
    ids = _ids(y, target) if chosen.target.classes else None
    if stored.schema.table:
        scaled = data.scaling != "none"
        fitted = partial(_fit_table, chosen.features, values, scaled)
        return _Loaded(values, fitted, _typed(y, target), ids, target, weights)
    x = values[chosen.features[0].name]
    features = ArrayFeatures(shape=x.shape[1:] or (1,))
    return _Loaded(x.reshape(len(x), *features.shape), lambda _: features, _typed(y, target), ids, target, weights)


def _fit_table(
    columns: Sequence[Column], values: Mapping[str, NDArray[Any]], scaled: bool, train: NDArray[np.int64]
) -> TableFeatures:
    return TableFeatures(encoders=tuple(fit(column, values[column.name][train], scaled=scaled) for column in columns))
