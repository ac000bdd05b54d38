"""Tests of core/data/splits/group.py."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.errors import InvalidData
from core.data.splits.group import GroupSplit
from core.data.splits.split import LoadedRows

SPLIT = GroupSplit(column="patient", validation=0.3, test=0.2)


@given(st.lists(st.integers(0, 8), min_size=3, max_size=80), st.integers(0, 99))
def test_no_group_is_in_two_parts(groups: list[int], seed: int) -> None:
    values = np.array(groups)
    if len(set(groups)) < 3:
        with pytest.raises(InvalidData, match="fewer than the 3 parts: name a column with more groups"):
            SPLIT.split(LoadedRows(len(values), None, values), seed)
        return
    found = [
        set(values[part].tolist())
        for part in SPLIT.split(LoadedRows(len(values), None, values), seed)
        if part is not None
    ]
    assert len(found) == 3
    assert sum(map(len, found)) == len(set(groups))


def test_parts_are_as_near_as_whole_groups_come() -> None:
    values = np.repeat(np.arange(100), np.arange(1, 101))
    train, validation, test = SPLIT.split(LoadedRows(len(values), None, values), 3)
    assert validation is not None
    assert test is not None
    assert abs(len(validation) / len(values) - 0.3) < 0.01
    assert abs(len(test) / len(values) - 0.2) < 0.01
    assert len(train) + len(validation) + len(test) == len(values)


def test_one_large_group_is_not_held_out() -> None:
    values = np.array(["large"] * 90 + ["a"] * 5 + ["b"] * 5, object)
    train, validation, _ = GroupSplit(column="g", validation=0.1).split(LoadedRows(100, None, values), 2)
    assert validation is not None
    assert "large" in values[train]
    assert len(validation) == 10 or len(validation) == 5
