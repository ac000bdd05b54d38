"""Tests of core/data/splits: every split keeps the interface."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.errors import InvalidData
from core.data.schema import Column
from core.data.splits import Split, chosen_split
from core.data.splits.column import ColumnSplit
from core.data.splits.fraction import FractionSplit, Validation
from core.data.splits.group import GroupSplit
from core.data.splits.split import Everything, KnownRows, LoadedRows, Parts, SplitRule
from core.data.splits.time import TimeSplit
from core.nn.tagged_union import members

CASES: dict[str, SplitRule] = {
    "fraction": FractionSplit(validation=0.3, test=0.2),
    "group": GroupSplit(column="c", validation=0.3, test=0.2),
    "time": TimeSplit(column="c", validation=0.3, test=0.2),
    "column": ColumnSplit(column="c", validation=["1", "2"], test=["3"]),
}
EACH = pytest.mark.parametrize("split", CASES.values(), ids=CASES.keys())


def parts(split: SplitRule, values: Any, seed: int = 1) -> Parts:
    """Return the parts of rows with these values in the column."""
    return split.split(LoadedRows(len(values), None, np.array(values)), seed)


def column(values: Any, **fields: Any) -> Column:
    """Return the schema of a column of categories."""
    names, counts = np.unique(np.array(values, str), return_counts=True)
    classes = tuple(zip(names.tolist(), counts.tolist(), strict=True))
    given = {"name": "c", "type": "category", "rows": len(values), "classes": classes, "distinct": len(classes)}
    return Column(**{**given, **fields})


def test_every_split_has_a_case() -> None:
    assert set(CASES) == set(members(Split))


@EACH
@given(values=st.lists(st.integers(0, 9), min_size=1, max_size=60), seed=st.integers(0, 99))
def test_each_row_is_in_one_part_and_no_part_is_empty(split: SplitRule, values: list[int], seed: int) -> None:
    try:
        split.count(KnownRows(len(values), None, column(values)))
        found = parts(split, values, seed)
    except InvalidData:  # too few rows or values
        return
    assert all(part is not None and len(part) for part in found)
    rows = np.concatenate([part for part in found if part is not None])
    assert sorted(rows.tolist()) == list(range(len(values)))
    assert all(part is not None and part.tolist() == sorted(part) for part in found)


@EACH
def test_seed_decides(split: SplitRule) -> None:
    values = [row % 10 for row in range(100)]
    first, second = (parts(split, values, seed=5) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True) if a is not None and b is not None)


@EACH
def test_counts_are_those_of_the_parts_or_near(split: SplitRule) -> None:
    values = [row % 10 for row in range(100)]
    expected = split.count(KnownRows(100, None, column(values)))
    found = [0 if part is None else len(part) for part in parts(split, values)]
    assert sum(expected) == 100
    assert max(abs(a - b) for a, b in zip(expected, found, strict=True)) <= 10


@pytest.mark.parametrize("name", ["group", "time", "column"])
def test_missing_values_are_refused(name: str) -> None:
    with pytest.raises(InvalidData, match="has 1 missing values: fill them in") as caught:
        CASES[name].count(KnownRows(3, None, column([1, 2, 3], missing=1)))
    assert caught.value.pointer == "/data/split/column"
    with pytest.raises(InvalidData, match="no column of single values"):
        CASES[name].count(KnownRows(3, None, column([1, 2, 3], shape=(2,))))


@pytest.mark.parametrize("name", ["fraction", "group", "time", "column"])
def test_split_that_holds_nothing_out_is_refused(name: str) -> None:
    kind = members(Split)[name]
    split = kind() if name == "fraction" else kind(column="c")
    with pytest.raises(InvalidData, match="must hold out some rows"):
        split.count(KnownRows(3, None, column([1, 2, 3])))


@pytest.mark.parametrize("name", ["fraction", "group", "time"])
def test_fractions_that_take_every_row_are_refused(name: str) -> None:
    kind = members(Split)[name]
    column_name = {} if name == "fraction" else {"column": "c"}
    with pytest.raises(InvalidData, match="with a sum below 1"):
        kind(validation=0.5, test=0.5, **column_name).count(KnownRows(9, None, column(range(9))))


def test_short_form_and_long_form_are_not_both_taken() -> None:
    validation, split = Validation(fraction=0.5), FractionSplit(test=0.5)
    assert chosen_split(None, None) == Everything()
    assert chosen_split(validation, None) is validation
    assert chosen_split(None, split) is split
    with pytest.raises(InvalidData, match="leave one of them out"):
        chosen_split(validation, split)


def test_everything_is_for_training() -> None:
    assert Everything().count(KnownRows(3, None)) == (3, 0, 0)
    assert Everything().split(LoadedRows(3, None), 1).train.tolist() == [0, 1, 2]
