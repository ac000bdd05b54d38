"""Tests of core/data/splits/column.py."""

from typing import Any

import numpy as np
import pytest

from core.data.errors import InvalidData
from core.data.schema import Column
from core.data.splits.column import ColumnSplit
from core.data.splits.split import KnownRows, LoadedRows


def parts(split: ColumnSplit, values: Any) -> list[list[int] | None]:
    found = split.split(LoadedRows(len(values), None, np.array(values)), 0)
    return [None if part is None else part.tolist() for part in found]


def test_values_name_the_parts() -> None:
    split = ColumnSplit(column="part", validation=["val", "dev"], test=["test"])
    assert parts(split, ["train", "val", "test", "dev", ""]) == [[0, 4], [1, 3], [2]]


def test_numbers_are_written_as_texts() -> None:
    assert parts(ColumnSplit(column="fold", test=["2", "0.5"]), [1.0, 2.0, 0.5, 1.0]) == [[0, 3], None, [1, 2]]


def test_value_of_both_parts_is_for_validation() -> None:
    assert parts(ColumnSplit(column="c", validation=["a"], test=["a", "b"]), ["a", "b", "c"]) == [[2], [0], [1]]


def test_values_that_the_column_lacks_are_refused_before_and_after_loading() -> None:
    split = ColumnSplit(column="part", validation=["vall"])
    column = Column(name="part", type="category", rows=3, classes=(("train", 2), ("val", 1)), distinct=2)
    with pytest.raises(InvalidData, match="give values that the column part has"):
        split.count(KnownRows(3, None, column))
    with pytest.raises(InvalidData, match="0 for validation"):
        parts(split, ["train", "train", "val"])


def test_counts_of_a_column_with_too_many_values_are_an_estimate() -> None:
    column = Column(name="part", type="number", rows=3, min=0, max=2)
    assert ColumnSplit(column="part", test=["1"]).count(KnownRows(3, None, column)) == (3, 0, 0)
