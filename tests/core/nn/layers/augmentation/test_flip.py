"""Random flips."""

import numpy as np
import pytest

from core.nn.layers.augmentation.flip import FlipMode, RandomFlip
from tests.core.nn.layers.augmentation.passes import augmented


@pytest.mark.parametrize(("mode", "axes"), [("horizontal", (1,)), ("vertical", (0,))])
def test_flip_mirrors_some_images_and_leaves_the_others(mode: FlipMode, axes: tuple[int, ...]) -> None:
    x = np.arange(40 * 3 * 4 * 2.0).reshape(40, 3, 4, 2)
    y = augmented(RandomFlip(mode=mode), x)
    mirrored = [np.array_equal(after, np.flip(before, axes)) for before, after in zip(x, y, strict=True)]
    same = [np.array_equal(after, before) for before, after in zip(x, y, strict=True)]
    assert all(np.logical_xor(mirrored, same))
    assert any(mirrored)
    assert any(same)
