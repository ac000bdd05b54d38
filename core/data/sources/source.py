"""The interface of a data source: the part of a spec that says where a job's data comes from.

A source is a frozen dataclass whose fields are the JSON that a client sends. `signature` and `load` take the same way,
one over the schema and one over the values, so that their shapes agree. A new source is one file of this folder, one
member of `Data` in `core.data.sources`, and one row of `tests/core/data/sources/test_sources.py`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from core.data.features import Features
from core.data.padding import Padding
from core.data.schema import Column, Schema
from core.data.splits.split import SplitRule
from core.data.targets import SourceTarget
from core.data.targets.standardized import Standardized
from core.warnings import WarningMessage


@dataclass(frozen=True)
class FirstErrorOnly:
    """A mark of a list in a spec: its validation stops at the first wrong item, since a list can have a million."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> dict[str, Any]:
        """Return the core schema of the list."""
        return {**handler(source), "fail_fast": True}


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDataset:
    """The file of an uploaded dataset and its schema."""

    path: Path
    schema: Schema


class SourceSignature(NamedTuple):
    """The number of rows and their shapes."""

    rows: int
    input_shape: tuple[int, ...]
    target: SourceTarget
    class_counts: Sequence[int] | None
    """Rows of each class, to stratify by; None where there are no classes."""
    warnings: tuple[WarningMessage, ...] = ()
    split_column: Column | None = None
    """The column that the split reads, if it reads one."""
    vocabulary: int | None = None
    """How many ids the inputs may be, where they are ids of tokens or categories."""
    target_scale: tuple[float, float] | None = None
    """Mean and standard deviation of targets that are numbers, where they differ."""
    standardized: bool = False
    """Whether the net learns numbers in another scale than their own."""


class LoadedData(NamedTuple):
    """All rows of a source, before they are split."""

    values: Any
    """Inputs, in the form that `transform` of the features takes."""
    fit: Callable[[NDArray[np.int64]], Features]
    """Returns the features, fitted on the given training rows."""
    target: SourceTarget
    y: NDArray[Any]
    """Targets `(rows, …)`, as `target.array` returns them."""
    class_ids: NDArray[np.int64] | None
    """The class of each row `(rows,)`, to stratify by; None where there are no classes."""
    weights: NDArray[np.float32] | None = None
    """Weight of each row in the loss `(rows,)`; None: all equal."""
    lengths: NDArray[np.int64] | None = None
    """Steps of each row `(rows,)` before padding at their end; None: all of them."""
    split_values: NDArray[Any] | None = None
    """The values `(rows,)` of the column that the split reads, if it reads one."""
    fit_target: Callable[[NDArray[np.int64]], Standardized] | None = None
    """Returns the target fitted on the given training rows, to which `y` is float64 in its own unit; None: `target`."""
    labelled: NDArray[np.int64] | None = None
    """The rows that have a target, which alone are split, ascending; None: all of them."""

    def class_counts(self) -> list[int] | None:
        """Return the rows of each class; None where there are no classes."""
        return None if self.class_ids is None else count_classes(self.class_ids)


class Source(Protocol):
    """Members are frozen dataclasses with a `type`."""

    @property
    def type(self) -> str:
        """The word for the source in JSON."""
        ...

    @property
    def split_rule(self) -> SplitRule:
        """The split of the rows. Raises `InvalidData` where a spec asks for two."""
        ...

    @property
    def dataset_id(self) -> str | None:
        """The id of the dataset that `signature` and `load` need; None where they need none."""
        ...

    @property
    def padding(self) -> Padding | None:
        """How rows of different lengths are padded; None where all are equally long."""
        ...

    def signature(self, schema: Schema | None) -> SourceSignature:
        """Return the number of rows and their shapes, without reading a dataset: its schema is enough.

        Raises `InvalidData` for everything that can be known to be wrong.
        """
        ...

    def load(self, dataset: StoredDataset | None) -> LoadedData:
        """Return all rows.

        Raises `InvalidData` as `signature` does, and `InvalidFile` where a dataset's file does not match its schema.
        """
        ...


def count_classes(class_ids: NDArray[np.int64]) -> list[int]:
    """Return the rows of each class that has any."""
    return [int(count) for count in np.bincount(class_ids) if count]
