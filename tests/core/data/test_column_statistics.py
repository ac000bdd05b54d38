"""Tests of core/data/column_statistics.py."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from core.data.column_statistics import ColumnStatistics, IntegerCounts, Moments, parse_floats, sort_classes
from core.data.schema import Limits


@given(st.lists(arrays.arrays(np.float64, st.integers(0, 9), elements=st.floats(-1e6, 1e6)), min_size=1, max_size=6))
def test_moments_of_blocks_equal_those_of_the_concatenation(blocks: list[Any]) -> None:
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


def test_moments_far_from_zero_keep_the_deviation() -> None:
    moments = Moments()
    for start in range(0, 1000, 100):
        moments.add(1e9 + np.arange(start, start + 100) % 2)
    assert moments.fields()["std"] == pytest.approx(0.5)


def test_integer_counts_end_when_too_many_differ() -> None:
    counts = IntegerCounts(3)
    counts.add(np.array([2.0, 0.0]))
    counts.add(np.array([2.0]))
    assert counts.fields() == {"classes": (("0", 1), ("2", 2)), "distinct": 2}
    counts.add(np.array([3.0, 4.0]))
    counts.add(np.array([2.0]))
    assert counts.fields() == {"classes": (), "distinct": None}


def test_integer_counts_of_fractions_are_empty() -> None:
    counts = IntegerCounts(3)
    counts.add(np.array([0.5]))
    assert counts.fields() == {"classes": (), "distinct": None}


INFERRED_TYPES = [
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


@pytest.mark.parametrize(("cells", "column_type"), INFERRED_TYPES)
def test_type_of_a_column_is_inferred(cells: list[str], column_type: str) -> None:
    statistics = ColumnStatistics("a", None, Limits(), 1000)
    statistics.add(cells)
    assert statistics.column().type == column_type


def test_numbers_followed_by_a_text_are_categories() -> None:
    statistics = ColumnStatistics("a", None, Limits(), 1000)
    statistics.add(["1", "2"] * 10)
    statistics.add(["two", "1"])
    column = statistics.column()
    assert column.type == "category"
    assert column.classes == (("1", 11), ("2", 10), ("two", 1))


def test_too_many_different_values_are_text() -> None:
    statistics = ColumnStatistics("a", None, Limits(), 3)
    statistics.add(["a", "b", "c", "d"] * 10)
    assert statistics.column().type == "text"
    assert statistics.column().distinct is None


def test_integers_are_counted_by_value() -> None:
    statistics = ColumnStatistics("a", None, Limits(), 1000)
    statistics.add(["10", "2", "2.0", "02"])
    assert statistics.column().classes == (("2", 3), ("10", 1))


def test_sort_classes_of_numbers_is_by_value() -> None:
    assert sort_classes(["10", "9", "1.5"]) == ["1.5", "9", "10"]
    assert sort_classes(["b", "10", "9"]) == ["10", "9", "b"]


@given(st.lists(st.text(max_size=6)))
def test_parse_floats_of_any_cells_returns_all_or_none(cells: list[str]) -> None:
    found = parse_floats(cells)
    assert found is None or len(found) == len(cells)
