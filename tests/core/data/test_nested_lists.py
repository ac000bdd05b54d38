"""Tests of core/data/nested_lists.py."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from core.data.nested_lists import MAX_AXES, NotNumbers, array_from_lists


@given(arrays.arrays(np.float64, arrays.array_shapes(max_dims=5, max_side=4), elements=st.floats(-1e38, 1e38)))
def test_lists_of_an_array_are_that_array(array: Any) -> None:
    np.testing.assert_array_equal(array_from_lists(array.tolist()), array)


def test_integers_and_floats_may_be_mixed() -> None:
    assert array_from_lists([[1, 2.5], [3, 4]]).tolist() == [[1.0, 2.5], [3.0, 4.0]]


def nested(depth: int) -> Any:
    return 1.0 if not depth else [nested(depth - 1)]


WRONG = [
    ([[1, 2], [3]], "/1", "has 1 values and the first has 2"),
    ([[[1], [2]], [[3], [4, 5]]], "/1/1", "has 2 values and the first has 1"),
    ([1, "two"], "/1", "is a text: give a number"),
    ([[1, 2], [3, True]], "/1/1", "is a boolean: give a number"),
    ([[1, None]], "/0/1", "is null: give a number"),
    ([[1], {"a": 1}], "/1", "is an object and the first is a list"),
    ([[1], 2], "/1", "is a number and the first is a list"),
    ([1, [2]], "/1", "is a list: give a number"),
    ([], "", "is empty"),
    ([[], []], "/0", "is empty"),
    ([[1, 10**400]], "/0/1", "outside the range of float32"),
    ([1.0, -1e39], "/1", "outside the range of float32"),
    ([1.0, float("nan")], "/1", "not finite"),
    ([1.0, float("inf"), 10**400], "/1", "not finite"),
    ([nested(MAX_AXES)], "/0/0/0/0/0/0/0/0", "nested too deep"),
]


@pytest.mark.parametrize(("value", "pointer", "message"), WRONG)
def test_first_wrong_value_is_named(value: list[Any], pointer: str, message: str) -> None:
    with pytest.raises(NotNumbers, match=message.replace("(", r"\(")) as caught:
        array_from_lists(value)
    assert caught.value.pointer == pointer
