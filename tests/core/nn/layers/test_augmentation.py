"""What augmentation does to rows, which a gradient cannot tell."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from core.nn.arrays import Array, Backward
from core.nn.layers.augmentation import Augmentation
from core.nn.layers.augmentation.crop import RandomCrop
from core.nn.layers.augmentation.erasing import RandomErasing
from core.nn.layers.augmentation.flip import FlipMode, RandomFlip
from core.nn.layers.augmentation.geometric import RandomRotation, RandomTranslation, RandomZoom
from core.nn.layers.augmentation.spec_augment import FrequencyMask, TimeMask
from core.nn.plan import Views
from core.nn.step.context import Arena, PassContext
from core.nn.tagged_union import members
from tests.core.nn.cases import LAYERS, LayerCase

MASKS = [(TimeMask(max_width=3), 1), (FrequencyMask(max_width=3), 2)]


SEEN = Views({}, {}, {}, parts=(), learns=False, input_gradient=True, trainable=True)


def passed(layer: Augmentation, x: Array, *, training: bool = True) -> tuple[Array, Backward]:
    return layer.forward(x, SEEN, PassContext(Arena(x.dtype), training=training, rng=np.random.default_rng(5)))


def varied(layer: Augmentation, x: Array, *, training: bool = True) -> Array:
    return passed(layer, x, training=training)[0]


@pytest.mark.parametrize(("mode", "axes"), [("horizontal", (1,)), ("vertical", (0,))])
def test_a_flip_mirrors_some_rows_and_leaves_the_others(mode: FlipMode, axes: tuple[int, ...]) -> None:
    x = np.arange(40 * 3 * 4 * 2.0).reshape(40, 3, 4, 2)
    y = varied(RandomFlip(mode=mode), x)
    mirrored = [np.array_equal(after, np.flip(before, axes)) for before, after in zip(x, y, strict=True)]
    same = [np.array_equal(after, before) for before, after in zip(x, y, strict=True)]
    assert all(np.logical_xor(mirrored, same))
    assert any(mirrored)
    assert any(same)


@pytest.mark.parametrize(("layer", "axis"), MASKS)
def test_a_mask_hides_one_run_no_wider_than_asked(layer: TimeMask | FrequencyMask, axis: int) -> None:
    y = varied(layer, np.ones((200, 5, 5)))
    hidden = (y == 0).all(axis=3 - axis)
    assert set(hidden.sum(axis=1)) == {0, 1, 2, 3}
    assert (np.abs(np.diff(hidden, axis=1, prepend=False, append=False)).sum(axis=1) <= 2).all()
    assert hidden.any(axis=0).all()
    assert ((y == 1) | np.expand_dims(hidden, 3 - axis)).all()


UNCHANGED = set(members(Augmentation).values()) - {RandomCrop}


def test_a_crop_is_a_piece_from_anywhere() -> None:
    picture = np.arange(5 * 4 * 2.0).reshape(5, 4, 2)
    y = varied(RandomCrop(height=3, width=2), np.tile(picture, (500, 1, 1, 1)))
    pieces = {picture[i : i + 3, j : j + 2].tobytes() for i in range(3) for j in range(3)}
    assert {piece.tobytes() for piece in y} == pieces


def test_a_crop_takes_each_row_from_its_own_picture() -> None:
    x = np.arange(20.0)[:, None, None, None] + np.zeros((20, 5, 4, 1))
    assert (varied(RandomCrop(height=3, width=2), x) == x[:, :3, :2]).all()


@pytest.mark.parametrize(("height", "width", "rows", "columns"), [(3, 2, slice(1, 4), slice(1, 3)),
                                                                  (2, 4, slice(1, 3), slice(0, 4)),
                                                                  (5, 1, slice(0, 5), slice(1, 2))])  # fmt: skip
def test_a_prediction_sees_the_middle_of_what_is_cropped(height: int, width: int, rows: slice, columns: slice) -> None:
    x = np.random.default_rng(0).standard_normal((3, 5, 4, 2))
    np.testing.assert_array_equal(
        varied(RandomCrop(height=height, width=width), x, training=False), x[:, rows, columns]
    )


@pytest.mark.parametrize("ratio", [(0.5, 2.0), (1.0, 1.0), (3.0, 3.0)])
def test_erasing_hides_a_rectangle_of_the_share_and_the_sides_asked_for(ratio: tuple[float, float]) -> None:
    x = np.random.default_rng(0).standard_normal((2_000, 40, 60, 1))
    y = varied(RandomErasing(scale=(0.1, 0.2), ratio=ratio, fill_value=9), x)
    hidden = (y == 9)[..., 0]
    heights, widths = hidden.any(axis=2).sum(axis=1), hidden.any(axis=1).sum(axis=1)
    np.testing.assert_array_equal(hidden.sum(axis=(1, 2)), heights * widths)
    np.testing.assert_array_equal(y[~hidden], x[~hidden])
    for along in (hidden.any(axis=2), hidden.any(axis=1)):
        assert (np.abs(np.diff(along, axis=1, prepend=False, append=False)).sum(axis=1) == 2).all(), "in one piece"
        assert along.any(axis=0).all(), "anywhere"
    areas, sides = heights * widths / 2400, heights / widths
    assert (areas.min(), areas.max()) == (pytest.approx(0.1, rel=0.1), pytest.approx(0.2, rel=0.1))
    assert (sides.min(), sides.max()) == (pytest.approx(ratio[0], rel=0.1), pytest.approx(ratio[1], rel=0.1))
    assert np.median(sides) == pytest.approx((ratio[0] * ratio[1]) ** 0.5, rel=0.05)


def test_erasing_leaves_as_many_pictures_whole_as_asked() -> None:
    y = varied(RandomErasing(factor=0.3), np.ones((2_000, 10, 10, 1)))
    assert (y == 0).any(axis=(1, 2, 3)).mean() == pytest.approx(0.3, abs=0.03)


def test_erasing_may_hide_all_but_no_more() -> None:
    assert not varied(RandomErasing(scale=(1, 1), ratio=(1, 1)), np.ones((50, 6, 6, 1))).any()
    tall = varied(RandomErasing(scale=(0.5, 0.5), ratio=(50, 50)), np.ones((50, 6, 6, 1)))
    assert set((tall == 0).sum(axis=1).ravel()) == {0, 6}


@pytest.mark.parametrize(
    "case", [case for case in LAYERS if type(case.layer) in UNCHANGED], ids=lambda case: case.layer.type
)
def test_a_prediction_passes_unchanged(case: LayerCase) -> None:
    x = case.inputs(4, np.random.default_rng(0))
    layer: Any = case.layer
    assert varied(layer, x, training=False) is x


def moved(down: float, across: float, **more: Any) -> RandomTranslation:
    """By exactly so much of the picture."""
    return RandomTranslation(height_factor=(down, down), width_factor=(across, across), **more)


PICTURE = np.arange(1, 13.0).reshape(1, 3, 4, 1)


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (moved(1 / 3, 0, fill_mode="constant"), [[0, 0, 0, 0], [1, 2, 3, 4], [5, 6, 7, 8]]),
        (moved(-1 / 3, 0, fill_mode="constant", fill_value=9), [[5, 6, 7, 8], [9, 10, 11, 12], [9, 9, 9, 9]]),
        (moved(0, 0.5, fill_mode="nearest"), [[1, 1, 1, 2], [5, 5, 5, 6], [9, 9, 9, 10]]),
        (moved(0, 0.5), [[2, 1, 1, 2], [6, 5, 5, 6], [10, 9, 9, 10]]),
        (moved(1, 0), [[9, 10, 11, 12], [5, 6, 7, 8], [1, 2, 3, 4]]),
        (moved(0, -0.25, fill_mode="wrap"), [[2, 3, 4, 1], [6, 7, 8, 5], [10, 11, 12, 9]]),
        (moved(0, -1 / 8, fill_mode="nearest"), [[1.5, 2.5, 3.5, 4], [5.5, 6.5, 7.5, 8], [9.5, 10.5, 11.5, 12]]),
        (moved(0, 1 / 8, fill_mode="constant"), [[0.5, 1.5, 2.5, 3.5], [2.5, 5.5, 6.5, 7.5], [4.5, 9.5, 10.5, 11.5]]),
    ],
)
def test_a_translation_moves_the_picture(layer: RandomTranslation, expected: Any) -> None:
    np.testing.assert_allclose(varied(layer, PICTURE)[0, ..., 0], expected, atol=1e-12)


def test_a_translation_draws_anew_for_each_row_and_axis() -> None:
    y = varied(RandomTranslation(height_factor=0.25, width_factor=(0, 0)), np.tile(PICTURE, (200, 1, 1, 1)))[..., 0]
    places = (y[:, 1, 0] - 1) / 4  # the row at which the middle one was read
    assert places.min() == pytest.approx(0.25, abs=0.05)
    assert places.max() == pytest.approx(1.75, abs=0.05)
    np.testing.assert_allclose(np.diff(y, axis=2), 1)


def zoomed(tall: float, wide: float | None = None, **more: Any) -> RandomZoom:
    """By exactly so much."""
    return RandomZoom(height_factor=(tall, tall), width_factor=None if wide is None else (wide, wide), **more)


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (zoomed(0), [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]]),
        (zoomed(-0.5), [[3.75, 4.25, 4.75, 5.25], [5.75, 6.25, 6.75, 7.25], [7.75, 8.25, 8.75, 9.25]]),
        (zoomed(0, -1), [[2.5, 2.5, 2.5, 2.5], [6.5, 6.5, 6.5, 6.5], [10.5, 10.5, 10.5, 10.5]]),
        (zoomed(1, 0, fill_mode="constant"), [[0, 0, 0, 0], [5, 6, 7, 8], [0, 0, 0, 0]]),
        (
            zoomed(1, 1 / 3, fill_mode="nearest"),
            [[1, 11 / 6, 19 / 6, 4], [5, 35 / 6, 43 / 6, 8], [9, 59 / 6, 67 / 6, 12]],
        ),
    ],
)
def test_a_zoom_stretches_the_picture_about_its_middle(layer: RandomZoom, expected: Any) -> None:
    np.testing.assert_allclose(varied(layer, PICTURE)[0, ..., 0], expected, atol=1e-12)


def turned(factor: float, **more: Any) -> RandomRotation:
    """By exactly so much of a turn."""
    return RandomRotation(factor=(factor, factor), **more)


@pytest.mark.parametrize("quarters", [-3, -1, 0, 1, 2, 4])
@pytest.mark.parametrize("shape", [(4, 4), (3, 3)])
def test_a_rotation_turns_the_picture_against_the_clock(quarters: int, shape: tuple[int, int]) -> None:
    x = np.random.default_rng(0).standard_normal((2, *shape, 3))
    np.testing.assert_allclose(varied(turned(quarters / 4), x), np.rot90(x, quarters, (1, 2)), atol=1e-12)


def test_a_rotation_draws_anew_for_each_row() -> None:
    x = np.tile(np.mgrid[-1:2, -1:2].transpose(1, 2, 0).astype(float), (200, 1, 1, 1))
    y = varied(RandomRotation(factor=0.125, fill_mode="nearest"), x)
    angles = np.arctan2(y[:, 1, 2, 0], y[:, 1, 2, 1]) / (2 * np.pi)  # of the pixel to the right of the middle
    assert (angles.min(), angles.max()) == (pytest.approx(-0.125, abs=0.01), pytest.approx(0.125, abs=0.01))


PADDINGS = {"constant": "zeros", "nearest": "border", "reflect": "reflection"}


def sampled(torch: Any, x: Any, down: Array, across: Array, mode: str) -> Any:
    """PyTorch's sampling of pictures at rows and columns `(height, width)`, counted in pixels."""
    batch, height, width, _ = x.shape
    grid = np.stack([(2 * across + 1) / width - 1, (2 * down + 1) / height - 1], axis=-1)
    grid = torch.from_numpy(grid).expand(batch, -1, -1, -1)
    options = {"mode": "bilinear", "padding_mode": PADDINGS[mode], "align_corners": False}
    return torch.nn.functional.grid_sample(x.movedim(-1, 1), grid, **options).movedim(1, -1)


ROW, COLUMN = np.mgrid[:5, :4]
PLACES: list[tuple[Any, Array, Array]] = [
    (moved(0.37, -0.71), ROW - 0.37 * 5, COLUMN + 0.71 * 4),
    (turned(0.125), 2 + (ROW - 2 + COLUMN - 1.5) / 2**0.5, 1.5 + (COLUMN - 1.5 - ROW + 2) / 2**0.5),
    (zoomed(0.41, -0.6), 2 + 1.41 * (ROW - 2), 1.5 + 0.4 * (COLUMN - 1.5)),
]
"""Layers, and the rows and columns at which they read a picture of 5 × 4 pixels."""


@pytest.mark.parametrize("mode", PADDINGS)
@pytest.mark.parametrize(("layer", "down", "across"), PLACES, ids=lambda v: getattr(v, "type", ""))
def test_a_picture_is_read_as_by_pytorch_and_so_is_the_gradient(
    torch: Any, layer: Any, down: Array, across: Array, mode: Any
) -> None:
    rng = np.random.default_rng(0)
    x, slope = rng.standard_normal((2, 3, 5, 4, 2))
    y, backward = passed(replace(layer, fill_mode=mode), x)
    their_x = torch.tensor(x, requires_grad=True)
    theirs = sampled(torch, their_x, down, across, mode)
    np.testing.assert_allclose(y, theirs.detach().numpy(), atol=1e-12)
    theirs.backward(torch.from_numpy(slope))
    np.testing.assert_allclose(backward(slope.copy()), their_x.grad.numpy(), atol=1e-12)
