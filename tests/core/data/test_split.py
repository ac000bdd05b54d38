"""Tests of core/data/split.py."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from core.data.errors import InvalidData
from core.data.split import Validation, count_validation_rows, split_rows, stratified_counts

FRACTIONS = st.floats(0.01, 0.99)
COUNTS = st.lists(st.integers(1, 30), min_size=1, max_size=8)


@given(FRACTIONS, COUNTS, st.booleans(), st.integers(0, 2**63 - 1))
def test_split_rows_has_the_counted_number_of_rows(
    fraction: float, counts: list[int], stratify: bool, seed: int
) -> None:
    validation = Validation(fraction=fraction, stratify=stratify)
    ids = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    try:
        expected = count_validation_rows(validation, len(ids), counts)
    except InvalidData:  # a part would be empty
        return
    found = split_rows(validation, ids, len(ids), seed)
    assert found.validation is not None
    assert len(found.validation) == expected
    assert sorted([*found.train, *found.validation]) == list(range(len(ids)))
    assert list(found.train) == sorted(found.train)


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


def test_split_rows_depends_on_the_seed() -> None:
    validation = Validation(fraction=0.5)
    drawn = [split_rows(validation, None, 100, seed).train.tolist() for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_split_rows_of_a_seed_is_fixed() -> None:
    found = split_rows(Validation(fraction=0.3), None, 10, 7)
    assert found.validation is not None
    assert found.validation.tolist() == [0, 7, 8]


def test_split_rows_without_validation_trains_on_every_row() -> None:
    assert split_rows(None, None, 3, 1).train.tolist() == [0, 1, 2]
    assert count_validation_rows(None, 1, None) == 0


@pytest.mark.parametrize(("fraction", "rows"), [(0.1, 4), (0.9, 4), (0.5, 1)])
def test_fraction_that_empties_a_part_is_refused(fraction: float, rows: int) -> None:
    with pytest.raises(InvalidData, match="give more rows or another fraction") as caught:
        count_validation_rows(Validation(fraction=fraction), rows, None)
    assert caught.value.pointer == "/data/validation/fraction"


def test_stratify_without_classes_is_refused() -> None:
    with pytest.raises(InvalidData, match="needs a target of classes") as caught:
        count_validation_rows(Validation(fraction=0.5, stratify=True), 10, None)
    assert caught.value.pointer == "/data/validation/stratify"
    with pytest.raises(InvalidData, match="leaves 3 for training and 0 for validation"):
        count_validation_rows(Validation(fraction=0.5, stratify=True), 3, [1, 1, 1])
