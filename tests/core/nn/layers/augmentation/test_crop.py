"""Random crops."""

import numpy as np
import pytest

from core.nn.layers.augmentation.crop import RandomCrop
from tests.core.nn.layers.augmentation.passes import augmented


def test_crops_cover_all_positions() -> None:
    image = np.arange(5 * 4 * 2.0).reshape(5, 4, 2)
    y = augmented(RandomCrop(height=3, width=2), np.tile(image, (500, 1, 1, 1)))
    crops = {image[i : i + 3, j : j + 2].tobytes() for i in range(3) for j in range(3)}
    assert {crop.tobytes() for crop in y} == crops


def test_each_crop_is_from_its_own_image() -> None:
    x = np.arange(20.0)[:, None, None, None] + np.zeros((20, 5, 4, 1))
    assert (augmented(RandomCrop(height=3, width=2), x) == x[:, :3, :2]).all()


@pytest.mark.parametrize(("height", "width", "rows", "columns"), [(3, 2, slice(1, 4), slice(1, 3)),
                                                                  (2, 4, slice(1, 3), slice(0, 4)),
                                                                  (5, 1, slice(0, 5), slice(1, 2))])  # fmt: skip
def test_crop_in_prediction_is_the_center(height: int, width: int, rows: slice, columns: slice) -> None:
    x = np.random.default_rng(0).standard_normal((3, 5, 4, 2))
    y = augmented(RandomCrop(height=height, width=width), x, training=False)
    np.testing.assert_array_equal(y, x[:, rows, columns])
