"""A thinned-out chart shows every spike."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.streaming.downsample import Downsampler, downsample

VALUES = st.lists(st.none() | st.floats(allow_nan=False, allow_infinity=False, width=32), max_size=400)


@given(VALUES, st.integers(4, 60))
def test_keeps_the_ends_and_the_extremes_in_order(values: list[float | None], points: int) -> None:
    kept = downsample(values, points).tolist()
    assert len(kept) <= max(points, 0) or len(values) <= points
    assert kept == sorted(set(kept))
    assert set(kept) <= set(range(len(values)))
    if values:
        assert kept[0] == 0
        assert kept[-1] == len(values) - 1
    numbers = [value for value in values if value is not None]
    if numbers:
        shown = [values[index] for index in kept if values[index] is not None]
        assert min(numbers) in shown
        assert max(numbers) in shown


@given(VALUES, st.integers(4, 60))
def test_a_short_series_stays_whole(values: list[float | None], points: int) -> None:
    short = values[:points]
    assert downsample(short, points).tolist() == list(range(len(short)))


@given(VALUES, st.integers(4, 60), st.lists(st.integers(0, 50), max_size=20))
def test_portions_change_nothing(values: list[float | None], points: int, sizes: list[int]) -> None:
    thinned, start = Downsampler(len(values), points), 0
    for size in [*sizes, len(values)]:
        portion = values[start : start + size]
        thinned.add([100 + start + place for place in range(len(portion))], portion)
        start += len(portion)
    assert (thinned.selected() - 100).tolist() == downsample(values, points).tolist()


@pytest.mark.parametrize("points", [4, 5, 99, 100])
def test_every_bucket_shows_its_own_extremes(points: int) -> None:
    values = [math.sin(step / 7) for step in range(10_000)]
    kept = downsample(values, points)
    assert points - 3 <= len(kept) <= points
    assert np.diff(kept).max() <= 2 * len(values) / ((points - 2) // 2) + 1


def test_a_single_spike_among_a_million_rows_is_seen() -> None:
    values: list[float | None] = [0.5] * 1_000_000
    values[654_321] = 9.0
    assert 654_321 in downsample(values, 500)
