"""Tests of core/data/splits/split.py."""

import numpy as np
import pytest

from core.data.errors import InvalidData
from core.data.splits.split import Counts, LoadedRows, parts_of, require_filled, rounded


def test_training_has_the_rows_of_no_other_part() -> None:
    train, validation, test = parts_of(6, np.array([4, 1]), np.array([0]))
    assert validation is not None
    assert test is not None
    assert (train.tolist(), validation.tolist(), test.tolist()) == ([2, 3, 5], [1, 4], [0])


def test_a_part_that_nobody_asks_for_may_be_empty() -> None:
    assert require_filled(Counts(2, 0, 0), validation=False, test=False, pointer="", remedy="") == (2, 0, 0)
    for counts in (Counts(0, 2, 0), Counts(1, 0, 0)):
        with pytest.raises(InvalidData, match="for testing: add rows"):
            require_filled(counts, validation=True, test=False, pointer="/data", remedy="add rows")


def test_halves_are_rounded_up() -> None:
    assert [rounded(value) for value in (0.4, 0.5, 1.5, 2.49)] == [0, 1, 2, 2]


def test_known_rows_have_the_counts_of_classes_with_rows() -> None:
    assert LoadedRows(3, np.array([0, 2, 2])).known() == (3, [1, 2], None)
    assert LoadedRows(3, None).known() == (3, None, None)
