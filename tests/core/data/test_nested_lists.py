"""Nested lists become arrays, and what cannot is named by its place."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from core.data.nested_lists import MAX_DEPTH, NotNumbers, numbers


@given(arrays.arrays(np.float64, arrays.array_shapes(max_dims=5, max_side=4), elements=st.floats(-1e38, 1e38)))
def test_what_numpy_lists_comes_back(array: Any) -> None:
    np.testing.assert_array_equal(numbers(array.tolist()), array)


def test_whole_and_broken_numbers_mix() -> None:
    assert numbers([[1, 2.5], [3, 4]]).tolist() == [[1.0, 2.5], [3.0, 4.0]]


def nested(depth: int) -> Any:
    return 1.0 if not depth else [nested(depth - 1)]


WRONG = [
    ([[1, 2], [3]], "/1", "holds 1 values where the first holds 2"),
    ([[[1], [2]], [[3], [4, 5]]], "/1/1", "holds 2 values where the first holds 1"),
    ([1, "two"], "/1", "is a text where a number belongs"),
    ([[1, 2], [3, True]], "/1/1", "is a boolean where a number belongs"),
    ([[1, None]], "/0/1", "is null where a number belongs"),
    ([[1], {"a": 1}], "/1", "is an object where the first is a list"),
    ([[1], 2], "/1", "is a number where the first is a list"),
    ([1, [2]], "/1", "is a list where a number belongs"),
    ([], "", "is empty"),
    ([[], []], "/0", "is empty"),
    ([[1, 10**400]], "/0/1", "beyond what a float32 holds"),
    ([1.0, -1e39], "/1", "beyond what a float32 holds"),
    ([1.0, float("nan")], "/1", "not finite"),
    ([1.0, float("inf"), 10**400], "/1", "not finite"),
    ([nested(MAX_DEPTH)], "/0/0/0/0/0/0/0/0", "nested too deep"),
]


@pytest.mark.parametrize(("value", "pointer", "message"), WRONG)
def test_the_first_wrong_value_is_named(value: list[Any], pointer: str, message: str) -> None:
    with pytest.raises(NotNumbers, match=message.replace("(", r"\(")) as caught:
        numbers(value)
    assert caught.value.pointer == pointer
