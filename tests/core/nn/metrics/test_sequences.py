"""The edit distance against its definition."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from core.nn.metrics.sequences import distances

LABELS = st.lists(st.integers(1, 3), max_size=5)


def recursive_distance(first: list[int], second: list[int]) -> int:
    """Return the edit distance by its recursive definition."""
    if not first or not second:
        return len(first) + len(second)
    substituted = recursive_distance(first[1:], second[1:]) + (first[0] != second[0])
    return min(substituted, recursive_distance(first[1:], second) + 1, recursive_distance(first, second[1:]) + 1)


@given(st.lists(st.tuples(LABELS, LABELS), min_size=1, max_size=4))
def test_edit_distance_of_random_labels_matches_its_definition(pairs: list[tuple[list[int], list[int]]]) -> None:
    first, second = (np.array([row + [0] * (5 - len(row)) for row in rows]) for rows in zip(*pairs, strict=True))
    assert distances(first, second).tolist() == [recursive_distance(*pair) for pair in pairs]
