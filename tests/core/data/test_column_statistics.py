"""Figures that are summed up block by block are those of the whole."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from core.data.column_statistics import ColumnStatistics, IntegerCounts, Moments, floats, in_order
from core.data.schema import Limits


@given(st.lists(arrays.arrays(np.float64, st.integers(0, 9), elements=st.floats(-1e6, 1e6)), min_size=1, max_size=6))
def test_moments_of_blocks_are_those_of_the_whole(blocks: list[Any]) -> None:
    moments, whole = Moments(), np.concatenate(blocks)
    for block in blocks:
        moments.add(block)
    found = moments.fields()
    if not whole.size:
        assert found == {}
        return
    assert (found["min"], found["max"]) == (whole.min(), whole.max())
    assert found["mean"] == pytest.approx(whole.mean(), rel=1e-9, abs=1e-9)
    assert found["std"] == pytest.approx(whole.std(), rel=1e-6, abs=1e-6)
    assert found["integers"] == bool((whole == np.rint(whole)).all())


def test_moments_far_from_zero_keep_their_deviation() -> None:
    moments = Moments()
    for start in range(0, 1000, 100):
        moments.add(1e9 + np.arange(start, start + 100) % 2)
    assert moments.fields()["std"] == pytest.approx(0.5)


def test_whole_numbers_are_counted_while_they_are_few() -> None:
    wholes = IntegerCounts(3)
    wholes.add(np.array([2.0, 0.0]))
    wholes.add(np.array([2.0]))
    assert wholes.fields() == {"classes": (("0", 1), ("2", 2)), "distinct": 2}
    wholes.add(np.array([3.0, 4.0]))
    wholes.add(np.array([2.0]))
    assert wholes.fields() == {"classes": (), "distinct": None}


def test_broken_numbers_are_no_classes() -> None:
    wholes = IntegerCounts(3)
    wholes.add(np.array([0.5]))
    assert wholes.fields() == {"classes": (), "distinct": None}


GUESSES = [
    (["1", " 2.5 ", "", "NA"], "number"),
    (["a", "b", "a"], "category"),
    (["1", "b", "1"], "category"),
    (["true", "false"], "category"),
    (["1_000", "2_000"], "category"),
    (["", "?"], "text"),
    ([f"name {i}" for i in range(50)], "text"),
    (["x" * 200, "y"], "text"),
    (["inf", "low"], "category"),
]


@pytest.mark.parametrize(("cells", "kind"), GUESSES)
def test_the_type_of_a_column_is_guessed(cells: list[str], kind: str) -> None:
    statistics = ColumnStatistics("a", None, Limits(), 1000)
    statistics.add(cells)
    assert statistics.column().type == kind


def test_what_looked_like_numbers_may_turn_out_as_categories() -> None:
    statistics = ColumnStatistics("a", None, Limits(), 1000)
    statistics.add(["1", "2"] * 10)
    statistics.add(["two", "1"])
    column = statistics.column()
    assert column.type == "category"
    assert column.classes == (("1", 11), ("2", 10), ("two", 1))


def test_more_different_values_than_are_counted_are_text() -> None:
    statistics = ColumnStatistics("a", None, Limits(), 3)
    statistics.add(["a", "b", "c", "d"] * 10)
    assert statistics.column().type == "text"
    assert statistics.column().distinct is None


def test_whole_numbers_keep_counts_by_their_plain_spelling() -> None:
    statistics = ColumnStatistics("a", None, Limits(), 1000)
    statistics.add(["10", "2", "2.0", "02"])
    assert statistics.column().classes == (("2", 3), ("10", 1))


def test_classes_that_are_numbers_stand_in_their_order() -> None:
    assert in_order(["10", "9", "1.5"]) == ["1.5", "9", "10"]
    assert in_order(["b", "10", "9"]) == ["10", "9", "b"]


@given(st.lists(st.text(max_size=6)))
def test_any_cells_are_numbers_or_are_none(cells: list[str]) -> None:
    found = floats(cells)
    assert found is None or len(found) == len(cells)
