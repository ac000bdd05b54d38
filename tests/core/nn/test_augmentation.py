"""What augmentation does to rows, which a gradient cannot tell."""

import numpy as np
import pytest

from core.nn.arena import Arena, Run
from core.nn.arrays import Array
from core.nn.layers.augmentation import FrequencyMask, Mode, RandomFlip, TimeMask
from core.nn.plan import Views

MASKS = [(TimeMask(max_width=3), 1), (FrequencyMask(max_width=3), 2)]


def varied(layer: RandomFlip | TimeMask | FrequencyMask, x: Array, *, training: bool = True) -> Array:
    run = Run(Arena(x.dtype), training=training, rng=np.random.default_rng(5))
    return layer.forward(x, Views({}, {}, {}, parts=(), learns=False, input_gradient=True, trainable=True), run)[0]


@pytest.mark.parametrize(("mode", "axes"), [("horizontal", (1,)), ("vertical", (0,))])
def test_a_flip_mirrors_some_rows_and_leaves_the_others(mode: Mode, axes: tuple[int, ...]) -> None:
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


@pytest.mark.parametrize("layer", [layer for layer, _ in MASKS])
def test_a_prediction_passes_unchanged(layer: TimeMask | FrequencyMask) -> None:
    x = np.ones((4, 5, 5))
    assert varied(layer, x, training=False) is x
