"""Augmentation in prediction: the input is unchanged, except by a crop."""

from typing import Any

import numpy as np
import pytest

from core.nn.layers.augmentation import Augmentation
from core.nn.layers.augmentation.crop import RandomCrop
from core.nn.tagged_union import members
from tests.core.nn.cases import LAYERS, LayerCase
from tests.core.nn.layers.augmentation.passes import augmented

IDENTITIES = set(members(Augmentation).values()) - {RandomCrop}


@pytest.mark.parametrize(
    "case", [case for case in LAYERS if type(case.layer) in IDENTITIES], ids=lambda case: case.layer.type
)
def test_prediction_returns_the_input_unchanged(case: LayerCase) -> None:
    x = case.inputs(4, np.random.default_rng(0))
    layer: Any = case.layer
    assert augmented(layer, x, training=False) is x
