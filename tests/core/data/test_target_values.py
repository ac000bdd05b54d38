"""Targets become what a loss compares with, or are refused at their place."""

from typing import Any

import numpy as np
import pytest

from core.data.errors import InvalidInstance
from core.data.target_values import targets_of
from core.data.targets import Classes, Target, numbers_of

PETS = Classes(names=("cat", "dog"))
BITS = Classes(names=("false", "true"))
DIGITS = Classes(names=("0", "1", "2"))
ONE = numbers_of(np.array([[0.5], [1.0]]))
PAIR = numbers_of(np.array([[0.5, 1.0]]))

TAKEN: list[tuple[Target, list[Any], tuple[int, ...], Any]] = [
    (PETS, ["dog", "cat"], (), [1, 0]),
    (BITS, [True, False], (), [1, 0]),
    (DIGITS, [2, 1.0, "0"], (), [2, 1, 0]),
    (PETS, [["dog", "cat"], ["cat", "cat"]], (2,), [[1, 0], [0, 0]]),
    (DIGITS, [[[1], [2]]], (2, 1), [[[1], [2]]]),
    (ONE, [1, 2.5], (), [[1], [2.5]]),
    (ONE, [[1], [2.5]], (), [[1], [2.5]]),
    (PAIR, [[1, 2]], (), [[1, 2]]),
]

REFUSED: list[tuple[Target, list[Any], tuple[int, ...], str]] = [
    (PETS, ["dog", "cow"], (), "/targets/1"),
    (PETS, ["dog", ["cat"]], (), "/targets/1"),
    (PETS, [None], (), "/targets/0"),
    (DIGITS, [1.5], (), "/targets/0"),
    (PETS, [["dog"]], (2,), "/targets/0"),
    (PETS, [["dog", "cow"]], (2,), "/targets/0/1"),
    (ONE, [1, "2"], (), "/targets/1"),
    (ONE, [[1, 2]], (), "/targets/0"),
    (PAIR, [[1, 2], [1]], (), "/targets/1"),
    (PAIR, [1, 2], (), "/targets/0"),
]


@pytest.mark.parametrize(("target", "values", "steps", "expected"), TAKEN)
def test_targets_are_taken_as_they_stood(
    target: Target, values: list[Any], steps: tuple[int, ...], expected: Any
) -> None:
    assert targets_of(target, values, steps).tolist() == expected


@pytest.mark.parametrize(("target", "values", "steps", "place"), REFUSED)
def test_what_is_no_target_is_refused_at_its_place(
    target: Target, values: list[Any], steps: tuple[int, ...], place: str
) -> None:
    with pytest.raises(InvalidInstance) as refused:
        targets_of(target, values, steps)
    assert refused.value.pointer == place
