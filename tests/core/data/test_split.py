"""Rows held out: how many is known before, which ones follows from the seed."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from core.data.errors import InvalidData
from core.data.split import Validation, held_out, shares, split

FRACTIONS = st.floats(0.01, 0.99)
COUNTS = st.lists(st.integers(1, 30), min_size=1, max_size=8)


@given(FRACTIONS, COUNTS, st.booleans(), st.integers(0, 2**63 - 1))
def test_the_split_is_what_was_announced(fraction: float, counts: list[int], stratify: bool, seed: int) -> None:
    validation = Validation(fraction=fraction, stratify=stratify)
    ids = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    try:
        held = held_out(validation, len(ids), counts)
    except InvalidData:  # a side would be empty
        return
    found = split(validation, ids, len(ids), seed)
    assert found.validation is not None
    assert len(found.validation) == held
    assert sorted([*found.train, *found.validation]) == list(range(len(ids)))
    assert list(found.train) == sorted(found.train)


@given(FRACTIONS, COUNTS)
def test_each_class_gives_its_share_and_keeps_a_row(fraction: float, counts: list[int]) -> None:
    capped = any(fraction * count > count - 1 for count in counts)  # what such a class keeps back, others give
    for held, count in zip(shares(fraction, counts), counts, strict=True):
        assert held <= count - 1
        assert abs(held - fraction * count) < (2 if capped else 1) or held == count - 1


@given(FRACTIONS, st.lists(st.integers(2, 30), min_size=1, max_size=8))
def test_the_shares_add_up(fraction: float, counts: list[int]) -> None:
    wanted = int(fraction * sum(counts) + 0.5)
    assume(wanted <= sum(counts) - len(counts))
    exact = [fraction * count for count in counts]
    assume(all(share <= count - 1 for share, count in zip(exact, counts, strict=True)))
    assert sum(shares(fraction, counts)) == wanted


def test_the_seed_decides() -> None:
    validation = Validation(fraction=0.5)
    drawn = [split(validation, None, 100, seed).train.tolist() for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_the_split_never_changes() -> None:
    found = split(Validation(fraction=0.3), None, 10, 7)
    assert found.validation is not None
    assert found.validation.tolist() == [0, 7, 8]


def test_without_validation_every_row_is_trained_on() -> None:
    assert split(None, None, 3, 1).train.tolist() == [0, 1, 2]
    assert held_out(None, 1, None) == 0


@pytest.mark.parametrize(("fraction", "rows"), [(0.1, 4), (0.9, 4), (0.5, 1)])
def test_both_sides_need_a_row(fraction: float, rows: int) -> None:
    with pytest.raises(InvalidData, match="give more rows or another fraction") as caught:
        held_out(Validation(fraction=fraction), rows, None)
    assert caught.value.pointer == "/data/validation/fraction"


def test_only_classes_can_be_stratified() -> None:
    with pytest.raises(InvalidData, match="needs a target of classes") as caught:
        held_out(Validation(fraction=0.5, stratify=True), 10, None)
    assert caught.value.pointer == "/data/validation/stratify"
    with pytest.raises(InvalidData, match="leaves 3 to train on and 0 to validate with"):
        held_out(Validation(fraction=0.5, stratify=True), 3, [1, 1, 1])
