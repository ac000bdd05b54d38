"""Tests of core/data/features/arrays.py."""

from typing import Any

import numpy as np
import pytest

from core.data.errors import InvalidInstance
from core.data.features.arrays import ArrayFeatures


@pytest.mark.parametrize("instances", [[6, 7.5], [[6], [7.5]], [6, [7.5]], np.array([6, 7.5]), np.array([[6], [7.5]])])
def test_encode_plain_numbers_are_instances_of_one_number(instances: Any) -> None:
    assert ArrayFeatures(shape=(1,)).encode(instances).x.tolist() == [[6.0], [7.5]]


def test_encode_keeps_the_shape() -> None:
    array = np.arange(12).reshape(2, 2, 3)
    found = ArrayFeatures(shape=(2, 3)).encode(array.tolist())
    np.testing.assert_array_equal(found.x, array)
    assert found.warnings == [[], []]


WRONG_ARRAYS: list[tuple[Any, int, str, str]] = [
    ([[1, 2], [1, 2, 3]], 1, "", r"has the shape \(3,\): give numbers of the shape \(2,\)"),
    ([[1], [1, 2]], 0, "", r"has the shape \(1,\)"),
    ([[1, 2], 3], 1, "", "is a single number"),
    ([[1, 2], [1, "a"]], 1, "/1", r"is a text: give numbers of the shape \(2,\)"),
    ([[1, 2], {"a": 1}], 1, "", r"is an object: give numbers of the shape \(2,\)"),
    ([[1, 2], [1, 10**400]], 1, "/1", "outside the range of float32"),
    ([[1, 2], []], 1, "", "is empty"),
    (np.array([[1, 2], [3, np.nan]]), 1, "/1", "is not finite or is outside the range of float32"),
    (np.array([[1, 2, 3]]), 0, "", "has the shape"),
]


@pytest.mark.parametrize(("instances", "index", "path", "message"), WRONG_ARRAYS)
def test_encode_wrong_array_names_its_place(instances: Any, index: int, path: str, message: str) -> None:
    with pytest.raises(InvalidInstance, match=message) as caught:
        ArrayFeatures(shape=(2,)).encode(instances)
    assert (caught.value.index, caught.value.pointer) == (index, f"/instances/{index}{path}")
