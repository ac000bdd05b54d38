"""Random erasing."""

import numpy as np
import pytest

from core.nn.layers.augmentation.erasing import RandomErasing
from tests.core.nn.layers.augmentation.passes import augmented


@pytest.mark.parametrize("ratio", [(0.5, 2.0), (1.0, 1.0), (3.0, 3.0)])
def test_erased_area_is_a_rectangle_of_the_scale_and_ratio(ratio: tuple[float, float]) -> None:
    x = np.random.default_rng(0).standard_normal((2_000, 40, 60, 1))
    y = augmented(RandomErasing(scale=(0.1, 0.2), ratio=ratio, fill_value=9), x)
    erased = (y == 9)[..., 0]
    heights, widths = erased.any(axis=2).sum(axis=1), erased.any(axis=1).sum(axis=1)
    np.testing.assert_array_equal(erased.sum(axis=(1, 2)), heights * widths)
    np.testing.assert_array_equal(y[~erased], x[~erased])
    for along in (erased.any(axis=2), erased.any(axis=1)):
        assert (np.abs(np.diff(along, axis=1, prepend=False, append=False)).sum(axis=1) == 2).all(), "contiguous"
        assert along.any(axis=0).all(), "at every position"
    areas, ratios = heights * widths / 2400, heights / widths
    assert (areas.min(), areas.max()) == (pytest.approx(0.1, rel=0.1), pytest.approx(0.2, rel=0.1))
    assert (ratios.min(), ratios.max()) == (pytest.approx(ratio[0], rel=0.1), pytest.approx(ratio[1], rel=0.1))
    assert np.median(ratios) == pytest.approx((ratio[0] * ratio[1]) ** 0.5, rel=0.05)


def test_erasing_changes_images_with_the_probability() -> None:
    y = augmented(RandomErasing(factor=0.3), np.ones((2_000, 10, 10, 1)))
    assert (y == 0).any(axis=(1, 2, 3)).mean() == pytest.approx(0.3, abs=0.03)


def test_erased_sides_are_at_most_those_of_the_image() -> None:
    assert not augmented(RandomErasing(scale=(1, 1), ratio=(1, 1)), np.ones((50, 6, 6, 1))).any()
    tall = augmented(RandomErasing(scale=(0.5, 0.5), ratio=(50, 50)), np.ones((50, 6, 6, 1)))
    assert set((tall == 0).sum(axis=1).ravel()) == {0, 6}
