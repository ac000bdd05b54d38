"""A target of each type: values that a client gives, what they become, and values that are refused."""

from typing import Any, NamedTuple

import numpy as np

from core.data.targets import Target
from core.data.targets.classes import Classes
from core.data.targets.embeddings import Embeddings
from core.data.targets.labels import Labels
from core.data.targets.numbers import Numbers
from core.data.targets.standardized import Standardized


class Case(NamedTuple):
    """One target."""

    target: Target
    taken: list[tuple[list[Any], tuple[int, ...], Any]]
    """Values, axes of steps, and the array of them."""
    refused: list[tuple[list[Any], tuple[int, ...], str]]
    """Values, axes of steps, and the pointer of the error."""


PETS = Classes(names=("cat", "dog"))

CASES: dict[str, Case] = {
    "numbers": Case(
        Numbers.from_values(np.array([[0.5], [1.0]])),
        [([1, 2.5], (), [[1], [2.5]]), ([[1], [2.5]], (), [[1], [2.5]])],
        [([1, "2"], (), "/targets/1"), ([[1, 2]], (), "/targets/0")],
    ),
    "numbers, pairs": Case(
        Numbers.from_values(np.array([[0.5, 1.0]])),
        [([[1, 2]], (), [[1, 2]])],
        [([[1, 2], [1]], (), "/targets/1"), ([1, 2], (), "/targets/0")],
    ),
    "standardized": Case(
        Standardized(shape=(1,), mean=(10.0,), std=(2.0,)),
        [([10, 14], (), [[0], [2]])],
        [([1, "2"], (), "/targets/1"), ([[1, 2]], (), "/targets/0")],
    ),
    "classes": Case(
        PETS,
        [(["dog", "cat"], (), [1, 0]), ([["dog", "cat"], ["cat", "cat"]], (2,), [[1, 0], [0, 0]])],
        [
            (["dog", "cow"], (), "/targets/1"),
            (["dog", ["cat"]], (), "/targets/1"),
            ([None], (), "/targets/0"),
            ([["dog"]], (2,), "/targets/0"),
            ([["dog", "cow"]], (2,), "/targets/0/1"),
        ],
    ),
    "classes, booleans": Case(Classes(names=("false", "true")), [([True, False], (), [1, 0])], []),
    "classes, integers": Case(
        Classes(names=("0", "1", "2")),
        [([2, 1.0, "0"], (), [2, 1, 0]), ([[[1], [2]]], (2, 1), [[[1], [2]]])],
        [([1.5], (), "/targets/0")],
    ),
    "labels": Case(
        Labels(max_labels=3),
        [([[1, 2, 3], [4], []], (), [[1, 2, 3], [4, 0, 0], [0, 0, 0]])],
        [([[1], [1, 2, 3, 4]], (), "/targets/1"), ([[1], ["a"]], (), "/targets/1/0"), ([1], (), "/targets/0")],
    ),
    "embeddings": Case(
        Embeddings(size=2),
        [(["b", "a", "b"], (), [1, 0, 1]), ([1, 1.0, True], (), [0, 0, 1])],
        [(["a", ["b"]], (), "/targets/1")],
    ),
}
