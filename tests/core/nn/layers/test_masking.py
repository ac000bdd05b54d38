"""The masking layer: which steps it masks."""

import numpy as np

from core.nn.layers.masking import Masking
from core.nn.network import Network
from core.nn.step.context import inference
from tests.core.nn.cases import sequential


def test_masking_masks_only_steps_that_equal_the_value() -> None:
    x = np.array([[[7, 7], [7, 1], [0, 0]]], np.float32)
    network = Network(sequential(Masking(mask_value=7)), (3, 2))
    ctx = inference()
    y, _ = network.forward(x, network.views(*network.initialize(np.random.default_rng(0))), ctx)
    assert ctx.mask is not None
    assert ctx.mask.tolist() == [[False, True, True]]
    assert y.tolist() == [[[0, 0], [7, 1], [0, 0]]]
