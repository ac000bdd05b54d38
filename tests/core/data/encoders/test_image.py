"""Tests of core/data/encoders/image.py."""

from typing import Any

import numpy as np
import pytest

from core.data.encoders.encoder import WrongValue
from core.data.encoders.image import ImageOptions
from core.data.errors import InvalidFile
from core.data.files.values import HeldFile, Pixels, column_of
from core.data.schema import Column
from tests.core.data.encoders.cases import image
from tests.core.data.files.media import picture


def pictures(*shape: int) -> Column:
    return Column(name="file", type="image", rows=2, shape=shape)


@pytest.mark.parametrize(
    ("options", "column", "shape"),
    [
        (ImageOptions(), pictures(8, 8, 1), (8, 8, 1)),
        (ImageOptions(), pictures(3000, 4000, 3), (48, 64, 3)),
        (ImageOptions(), pictures(1, 1_000_000, 1), (1, 64, 1)),
        (ImageOptions(size=(5, 7)), pictures(8, 8, 1), (5, 7, 1)),
        (ImageOptions(color="rgb"), pictures(8, 8, 1), (8, 8, 3)),
        (ImageOptions(color="grey"), pictures(8, 8, 3), (8, 8, 1)),
    ],
)
def test_shape_is_of_the_dataset_unless_options_say_it(options: ImageOptions, column: Column, shape: Any) -> None:
    assert options.shape_for(column) == shape


def test_standard_has_mean_and_deviation_of_the_training_pictures() -> None:
    rng = np.random.default_rng(1)
    arrays = rng.integers(0, 255, (5, 4, 6, 3)).astype(np.uint8)
    files = column_of([HeldFile(f"{i}.png", picture(array)) for i, array in enumerate(arrays)])
    encoder = ImageOptions(normalize="standard").fit(pictures(4, 6, 3), files, scaled=True)
    np.testing.assert_allclose(encoder.mean, arrays.mean(axis=(0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(encoder.std, arrays.std(axis=(0, 1, 2)), rtol=1e-6)
    x = np.zeros((5, 4, 6, 3), np.float32)
    encoder.transform(files, x)
    np.testing.assert_allclose(x.mean(axis=(0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(x.std(axis=(0, 1, 2)), 1, rtol=1e-5)


def test_standard_of_equal_pixels_divides_by_one() -> None:
    files = column_of([Pixels("a", np.full((2, 2), 9, np.uint8))] * 2)
    encoder = ImageOptions(normalize="standard").fit(pictures(2, 2, 1), files, scaled=True)
    assert (encoder.mean, encoder.std) == ((9.0,), (1.0,))


def test_pixels_of_arrays_are_encoded_as_those_of_files() -> None:
    array = np.arange(12, dtype=np.uint8).reshape(2, 2, 3) * 20
    x = np.zeros((2, 2, 2, 3), np.float32)
    image(size=(2, 2), color="rgb", mean=(0.0,) * 3, std=(1.0,) * 3).transform(
        column_of([Pixels("a", array), HeldFile("a.png", picture(array))]), x
    )
    np.testing.assert_array_equal(x[0], array)
    np.testing.assert_array_equal(x[1], array)


def test_a_file_that_cannot_be_decoded_is_named() -> None:
    with pytest.raises(InvalidFile, match=r"b\.png is no picture"):
        image().transform(column_of([HeldFile("b.png", b"no")]), np.zeros((1, 1, 2, 1), np.float32))
    with pytest.raises(WrongValue, match="give a file in base64"):
        image().parse("no base64!")
    with pytest.raises(WrongValue, match="is no picture that can be read"):
        image().parse(b"no")
