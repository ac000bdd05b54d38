"""Gated linear units refuse an odd number of features."""

import pytest

from core.nn.arrays import Shape
from core.nn.layers.gating import Gating, Glu, SwiGlu
from core.nn.plan import ShapeMismatch


@pytest.mark.parametrize(("layer", "shape"), [(Glu(), (3,)), (SwiGlu(), ())])
def test_odd_number_of_features_is_refused(layer: Gating, shape: Shape) -> None:
    with pytest.raises(ShapeMismatch, match="even number of features"):
        layer.plan(shape)
