"""Time and frequency masks."""

import numpy as np
import pytest

from core.nn.layers.augmentation.spec_augment import FrequencyMask, TimeMask
from tests.core.nn.layers.augmentation.passes import augmented


@pytest.mark.parametrize(("layer", "axis"), [(TimeMask(max_width=3), 1), (FrequencyMask(max_width=3), 2)])
def test_mask_hides_one_span_of_at_most_the_width(layer: TimeMask | FrequencyMask, axis: int) -> None:
    y = augmented(layer, np.ones((200, 5, 5)))
    hidden = (y == 0).all(axis=3 - axis)
    assert set(hidden.sum(axis=1)) == {0, 1, 2, 3}
    assert (np.abs(np.diff(hidden, axis=1, prepend=False, append=False)).sum(axis=1) <= 2).all()
    assert hidden.any(axis=0).all()
    assert ((y == 1) | np.expand_dims(hidden, 3 - axis)).all()
