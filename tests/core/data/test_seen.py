"""Tests of core/data/seen.py."""

import math

import numpy as np
import pytest

from core.data.seen import Seen

ONE_TO_FIVE = Seen.of(np.array([1.0, 2, 3, 4, 5]))
WITH_AN_OUTLIER = Seen.of(np.array([0.0] * 99 + [1]))
CONSTANT = Seen.of(np.array([7.0, 7]))


@pytest.mark.parametrize(
    ("seen", "value", "far"),
    [
        (ONE_TO_FIVE, 6, False),  # 1 beyond a range of 4
        (ONE_TO_FIVE, 9, False),
        (ONE_TO_FIVE, 9.1, True),
        (ONE_TO_FIVE, -3.1, True),
        (ONE_TO_FIVE, 3, False),
        (ONE_TO_FIVE, math.nan, False),
        (WITH_AN_OUTLIER, 1, False),  # seen, though 10 deviations from the mean
        (WITH_AN_OUTLIER, 1.5, True),
        (CONSTANT, 7, False),
        (CONSTANT, 7.1, True),
    ],
)
def test_value_is_far_by_deviations_or_by_the_width_of_the_range(seen: Seen, value: float, far: bool) -> None:
    assert (seen.far_outside(value) is not None) == far


def test_missing_values_are_left_out() -> None:
    assert Seen.of(np.array([np.nan, 2, 4])) == Seen(min=2, max=4, mean=3, std=1)
    assert Seen.of(np.array([np.nan])) is None
