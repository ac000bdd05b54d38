"""Random translations, zooms and rotations, by hand and beside PyTorch's resampling."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from core.nn.arrays import Array
from core.nn.layers.augmentation.geometric import RandomRotation, RandomTranslation, RandomZoom
from tests.core.nn.layers.augmentation.passes import augmented, forward

IMAGE = np.arange(1, 13.0).reshape(1, 3, 4, 1)


def translation(height: float, width: float, **fields: Any) -> RandomTranslation:
    """Return a translation by exactly these factors."""
    return RandomTranslation(height_factor=(height, height), width_factor=(width, width), **fields)


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (translation(1 / 3, 0, fill_mode="constant"), [[0, 0, 0, 0], [1, 2, 3, 4], [5, 6, 7, 8]]),
        (translation(-1 / 3, 0, fill_mode="constant", fill_value=9), [[5, 6, 7, 8], [9, 10, 11, 12], [9, 9, 9, 9]]),
        (translation(0, 0.5, fill_mode="nearest"), [[1, 1, 1, 2], [5, 5, 5, 6], [9, 9, 9, 10]]),
        (translation(0, 0.5), [[2, 1, 1, 2], [6, 5, 5, 6], [10, 9, 9, 10]]),
        (translation(1, 0), [[9, 10, 11, 12], [5, 6, 7, 8], [1, 2, 3, 4]]),
        (translation(0, -0.25, fill_mode="wrap"), [[2, 3, 4, 1], [6, 7, 8, 5], [10, 11, 12, 9]]),
        (translation(0, -1 / 8, fill_mode="nearest"), [[1.5, 2.5, 3.5, 4], [5.5, 6.5, 7.5, 8], [9.5, 10.5, 11.5, 12]]),
        (
            translation(0, 1 / 8, fill_mode="constant"),
            [[0.5, 1.5, 2.5, 3.5], [2.5, 5.5, 6.5, 7.5], [4.5, 9.5, 10.5, 11.5]],
        ),
    ],
)
def test_translation_shifts_the_image(layer: RandomTranslation, expected: Any) -> None:
    np.testing.assert_allclose(augmented(layer, IMAGE)[0, ..., 0], expected, atol=1e-12)


def test_translation_draws_for_each_row_and_axis() -> None:
    y = augmented(RandomTranslation(height_factor=0.25, width_factor=(0, 0)), np.tile(IMAGE, (200, 1, 1, 1)))[..., 0]
    positions = (y[:, 1, 0] - 1) / 4  # the row at which the middle row was read
    assert positions.min() == pytest.approx(0.25, abs=0.05)
    assert positions.max() == pytest.approx(1.75, abs=0.05)
    np.testing.assert_allclose(np.diff(y, axis=2), 1)


def zoom(height: float, width: float | None = None, **fields: Any) -> RandomZoom:
    """Return a zoom by exactly these factors."""
    return RandomZoom(height_factor=(height, height), width_factor=None if width is None else (width, width), **fields)


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (zoom(0), [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]]),
        (zoom(-0.5), [[3.75, 4.25, 4.75, 5.25], [5.75, 6.25, 6.75, 7.25], [7.75, 8.25, 8.75, 9.25]]),
        (zoom(0, -1), [[2.5, 2.5, 2.5, 2.5], [6.5, 6.5, 6.5, 6.5], [10.5, 10.5, 10.5, 10.5]]),
        (zoom(1, 0, fill_mode="constant"), [[0, 0, 0, 0], [5, 6, 7, 8], [0, 0, 0, 0]]),
        (
            zoom(1, 1 / 3, fill_mode="nearest"),
            [[1, 11 / 6, 19 / 6, 4], [5, 35 / 6, 43 / 6, 8], [9, 59 / 6, 67 / 6, 12]],
        ),
    ],
)
def test_zoom_scales_the_image_about_its_center(layer: RandomZoom, expected: Any) -> None:
    np.testing.assert_allclose(augmented(layer, IMAGE)[0, ..., 0], expected, atol=1e-12)


def rotation(factor: float, **fields: Any) -> RandomRotation:
    """Return a rotation by exactly this fraction of a turn."""
    return RandomRotation(factor=(factor, factor), **fields)


@pytest.mark.parametrize("quarters", [-3, -1, 0, 1, 2, 4])
@pytest.mark.parametrize("shape", [(4, 4), (3, 3)])
def test_rotation_by_quarter_turns_equals_rot90(quarters: int, shape: tuple[int, int]) -> None:
    x = np.random.default_rng(0).standard_normal((2, *shape, 3))
    np.testing.assert_allclose(augmented(rotation(quarters / 4), x), np.rot90(x, quarters, (1, 2)), atol=1e-12)


def test_rotation_draws_for_each_row() -> None:
    x = np.tile(np.mgrid[-1:2, -1:2].transpose(1, 2, 0).astype(float), (200, 1, 1, 1))
    y = augmented(RandomRotation(factor=0.125, fill_mode="nearest"), x)
    angles = np.arctan2(y[:, 1, 2, 0], y[:, 1, 2, 1]) / (2 * np.pi)  # of the pixel to the right of the center
    assert (angles.min(), angles.max()) == (pytest.approx(-0.125, abs=0.01), pytest.approx(0.125, abs=0.01))


TORCH_MODES = {"constant": "zeros", "nearest": "border", "reflect": "reflection"}


def torch_resampled(torch: Any, x: Any, rows: Array, columns: Array, mode: str) -> Any:
    """Return PyTorch's resampling of images at row and column positions `(height, width)`, in pixels."""
    batch, height, width, _ = x.shape
    grid = np.stack([(2 * columns + 1) / width - 1, (2 * rows + 1) / height - 1], axis=-1)
    grid = torch.from_numpy(grid).expand(batch, -1, -1, -1)
    options = {"mode": "bilinear", "padding_mode": TORCH_MODES[mode], "align_corners": False}
    return torch.nn.functional.grid_sample(x.movedim(-1, 1), grid, **options).movedim(1, -1)


ROW, COLUMN = np.mgrid[:5, :4]
POSITIONS: list[tuple[Any, Array, Array]] = [
    (translation(0.37, -0.71), ROW - 0.37 * 5, COLUMN + 0.71 * 4),
    (rotation(0.125), 2 + (ROW - 2 + COLUMN - 1.5) / 2**0.5, 1.5 + (COLUMN - 1.5 - ROW + 2) / 2**0.5),
    (zoom(0.41, -0.6), 2 + 1.41 * (ROW - 2), 1.5 + 0.4 * (COLUMN - 1.5)),
]
"""Layers, and the row and column positions at which they read an image of 5 × 4 pixels."""


@pytest.mark.parametrize("mode", TORCH_MODES)
@pytest.mark.parametrize(("layer", "rows", "columns"), POSITIONS, ids=lambda v: getattr(v, "type", ""))
def test_resampled_image_and_gradient_equal_torchs(
    torch: Any, layer: Any, rows: Array, columns: Array, mode: Any
) -> None:
    rng = np.random.default_rng(0)
    x, d_y = rng.standard_normal((2, 3, 5, 4, 2))
    y, backward = forward(replace(layer, fill_mode=mode), x)
    torch_x = torch.tensor(x, requires_grad=True)
    torch_y = torch_resampled(torch, torch_x, rows, columns, mode)
    np.testing.assert_allclose(y, torch_y.detach().numpy(), atol=1e-12)
    torch_y.backward(torch.from_numpy(d_y))
    np.testing.assert_allclose(backward(d_y.copy()), torch_x.grad.numpy(), atol=1e-12)
