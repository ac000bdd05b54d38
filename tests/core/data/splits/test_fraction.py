"""Tests of core/data/splits/fraction.py."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from core.data.errors import InvalidData
from core.data.splits.fraction import FractionSplit, Validation, stratified_counts
from core.data.splits.split import KnownRows, LoadedRows

FRACTIONS = st.floats(0.01, 0.99)
COUNTS = st.lists(st.integers(1, 30), min_size=1, max_size=8)


@given(FRACTIONS, st.floats(0, 0.9), COUNTS, st.booleans(), st.integers(0, 2**63 - 1))
def test_parts_have_the_counted_numbers_of_rows(
    validation: float, test: float, counts: list[int], stratify: bool, seed: int
) -> None:
    split = FractionSplit(validation=validation, test=test, stratify=stratify)
    ids = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    try:
        expected = split.count(KnownRows(len(ids), counts))
    except InvalidData:  # a part would be empty
        return
    found = split.split(LoadedRows(len(ids), ids), seed)
    assert found.validation is not None
    parts = [part for part in found if part is not None]
    assert [len(part) for part in parts] == [rows for rows in expected if rows]
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(ids)))
    assert all(part.tolist() == sorted(part) for part in parts)


@given(FRACTIONS, COUNTS)
def test_stratified_counts_are_fractions_and_leave_a_row(fraction: float, counts: list[int]) -> None:
    capped = any(
        fraction * count > count - 1 for count in counts
    )  # such a class keeps a row, which others give instead
    for taken, count in zip(stratified_counts(fraction, counts), counts, strict=True):
        assert taken <= count - 1
        assert abs(taken - fraction * count) < (2 if capped else 1) or taken == count - 1


@given(FRACTIONS, st.lists(st.integers(2, 30), min_size=1, max_size=8))
def test_stratified_counts_add_up(fraction: float, counts: list[int]) -> None:
    wanted = int(fraction * sum(counts) + 0.5)
    assume(wanted <= sum(counts) - len(counts))
    exact = [fraction * count for count in counts]
    assume(all(share <= count - 1 for share, count in zip(exact, counts, strict=True)))
    assert sum(stratified_counts(fraction, counts)) == wanted


def test_split_depends_on_the_seed() -> None:
    validation = Validation(fraction=0.5)
    drawn = [validation.split(LoadedRows(100, None), seed).train.tolist() for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_rows_of_a_seed_are_fixed() -> None:
    found = Validation(fraction=0.3).split(LoadedRows(10, None), 7)
    assert found.validation is not None
    assert found.validation.tolist() == [0, 7, 8]


def test_short_form_is_a_split_without_a_test() -> None:
    short = Validation(fraction=0.3).split(LoadedRows(100, None), 7)
    long = FractionSplit(validation=0.3).split(LoadedRows(100, None), 7)
    assert short.validation is not None
    assert long.validation is not None
    assert short.validation.tolist() == long.validation.tolist()
    assert short.test is long.test is None


def test_test_rows_leave_the_validation_rows_as_they_are() -> None:
    without = FractionSplit(validation=0.3).split(LoadedRows(100, None), 7)
    beside = FractionSplit(validation=0.3, test=0.2).split(LoadedRows(100, None), 7)
    assert without.validation is not None
    assert beside.validation is not None
    assert without.validation.tolist() == beside.validation.tolist()


def test_each_class_is_in_each_part() -> None:
    ids = np.repeat([0, 1], [80, 20])
    found = FractionSplit(validation=0.2, test=0.1, stratify=True).split(LoadedRows(100, ids), 1)
    assert [np.bincount(ids[part]).tolist() for part in found if part is not None] == [[56, 14], [16, 4], [8, 2]]


@pytest.mark.parametrize(("fraction", "rows"), [(0.1, 4), (0.9, 4), (0.5, 1)])
def test_fraction_that_empties_a_part_is_refused(fraction: float, rows: int) -> None:
    with pytest.raises(InvalidData, match="give more rows or another fraction") as caught:
        Validation(fraction=fraction).count(KnownRows(rows, None))
    assert caught.value.pointer == "/data/validation/fraction"
    with pytest.raises(InvalidData, match="give more rows or another fraction"):
        Validation(fraction=fraction).split(LoadedRows(rows, None), 0)


def test_stratify_without_classes_is_refused() -> None:
    with pytest.raises(InvalidData, match="needs a target of classes") as caught:
        Validation(fraction=0.5, stratify=True).count(KnownRows(10, None))
    assert caught.value.pointer == "/data/validation/stratify"
    with pytest.raises(InvalidData, match="leaves 3 rows for training, 0 for validation"):
        Validation(fraction=0.5, stratify=True).count(KnownRows(3, [1, 1, 1]))
