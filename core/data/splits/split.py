"""The interface of a split: which rows a net is trained on, validated on after each epoch, and tested on at the end.

How many rows each part has is known, or estimated, from the schema; which rows they are follows from a seed, the same
on every machine. A new split is one file of this folder, one member of `Split` in `core.data.splits`, and one row of
`tests/core/data/splits/test_splits.py`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, NamedTuple, Protocol, TypeAlias

import numpy as np
from annotated_types import Ge, Gt, Lt
from numpy.typing import NDArray

from core.data.cells import quote
from core.data.errors import InvalidData
from core.data.schema import Column

POINTER = "/data/split"

Fraction: TypeAlias = Annotated[float, Gt(0), Lt(1)]
"""A part of the rows that has some of them, but not all."""

FractionOrNone: TypeAlias = Annotated[float, Ge(0), Lt(1)]
"""A part of the rows that may be empty."""


class Counts(NamedTuple):
    """The number of rows of each part."""

    train: int
    validation: int
    test: int


class Parts(NamedTuple):
    """Indices of the rows of each part, in ascending order; None for a part that was not asked for."""

    train: NDArray[np.int64]
    validation: NDArray[np.int64] | None = None
    test: NDArray[np.int64] | None = None


class KnownRows(NamedTuple):
    """What the schema says of the rows to split."""

    rows: int
    class_counts: Sequence[int] | None
    """Rows of each class of the target; None where there are no classes."""
    column: Column | None = None
    """The column that the split reads, if it reads one."""


class LoadedRows(NamedTuple):
    """The rows to split."""

    rows: int
    class_ids: NDArray[np.int64] | None
    """The class of each row `(rows,)`; None where there are no classes."""
    values: NDArray[Any] | None = None
    """The values `(rows,)` of the column that the split reads: numbers, or texts."""

    def known(self) -> KnownRows:
        """Return what is known without the values."""
        counts = None if self.class_ids is None else [int(n) for n in np.bincount(self.class_ids) if n]
        return KnownRows(self.rows, counts)


class SplitRule(Protocol):
    """A split. Members are frozen dataclasses whose fields are the JSON that a client sends."""

    keeps_feature: ClassVar[bool]
    """Whether the column that the split reads is a feature too, where no features are named."""

    @property
    def reads(self) -> str | None:
        """The column that the split reads."""
        ...

    def count(self, known: KnownRows) -> Counts:
        """Return the rows of each part, estimated where only the values tell. Raises `InvalidData`."""
        ...

    def split(self, loaded: LoadedRows, seed: int) -> Parts:
        """Return the rows of each part. Raises `InvalidData` where a part that was asked for is empty."""
        ...


@dataclass(frozen=True, slots=True)
class Everything:
    """No split: every row is for training."""

    keeps_feature: ClassVar[bool] = True

    @property
    def reads(self) -> None:
        """None: no column is read."""

    def count(self, known: KnownRows) -> Counts:
        """Return all rows."""
        return Counts(known.rows, 0, 0)

    def split(self, loaded: LoadedRows, seed: int) -> Parts:
        """Return all rows."""
        return Parts(np.arange(loaded.rows))


def require_values(column: Column | None, name: str) -> Column:
    """Return the column that a split reads. Raises `InvalidData` where values of it are missing, or are arrays."""
    pointer = f"{POINTER}/column"
    if column is None or column.shape:
        raise InvalidData(pointer, f"{quote(name)} is no column of single values: name a column of a table")
    if column.missing:
        message = f"column {quote(name)} has {column.missing} missing values: fill them in, or remove their rows"
        raise InvalidData(pointer, message)
    return column


def require_fractions(validation: float, test: float) -> None:
    """Raise `InvalidData` if nothing is held out, or everything."""
    if not 0 < validation + test < 1:
        message = "must hold out some rows, and not all: set validation, test or both, with a sum below 1"
        raise InvalidData(POINTER, message)


def require_filled(counts: Counts, *, validation: bool, test: bool, pointer: str, remedy: str) -> Counts:
    """Return the counts. Raises `InvalidData` if a part has no rows that was asked for; training always is."""
    wanted = [counts.train, *([counts.validation] if validation else []), *([counts.test] if test else [])]
    if min(wanted) >= 1:
        return counts
    found = f"leaves {counts.train} rows for training, {counts.validation} for validation and {counts.test} for testing"
    raise InvalidData(pointer, f"{found}: {remedy}")


def parts_of(rows: int, validation: NDArray[np.int64] | None, test: NDArray[np.int64] | None) -> Parts:
    """Return the parts with sorted rows; training has those that no other part has."""
    mask = np.zeros(rows, bool)
    for held_out in (validation, test):
        if held_out is not None:
            mask[held_out] = True
    return Parts(np.flatnonzero(~mask), *(None if part is None else np.sort(part) for part in (validation, test)))


def rounded(value: float) -> int:
    """Return the nearest integer; halves are rounded up."""
    return math.floor(value + 0.5)
