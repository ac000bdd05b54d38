"""Positions are those of the paper, and the layers refuse what they cannot number or halve."""

from math import cos, sin

import numpy as np
import pytest

from core.nn.arrays import Array, Shape
from core.nn.layers.composite import Layer
from core.nn.layers.gating import Glu, SwiGlu
from core.nn.layers.positional import PositionalEncoding, PositionEmbedding
from core.nn.network import Network
from core.nn.plan import ShapeMismatch
from core.nn.predictor import Predictor
from tests.core.nn.cases import sequential


def test_positions_are_sines_and_cosines_of_falling_rates() -> None:
    """Position 3 of four features, written out by hand."""
    network = Network(sequential(PositionalEncoding()), (5, 4))
    nothing: Array = np.zeros(0)
    y = Predictor(network, nothing, nothing).outputs(np.zeros((2, 5, 4)))
    np.testing.assert_allclose(y[1, 3], [sin(3), cos(3), sin(0.03), cos(0.03)])


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (Glu(), (3,), "even number of features"),
        (SwiGlu(), (), "even number of features"),
        (PositionalEncoding(), (4,), r"needs \(steps, features\)"),
        (PositionEmbedding(sequence_length=2), (3, 4), "raise `sequence_length`"),
        (PositionEmbedding(sequence_length=2), (2, 3, 4), r"needs \(steps, features\)"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_to_do(layer: Layer, shape: Shape, message: str) -> None:
    """By the plan, before anything is allocated."""
    with pytest.raises(ShapeMismatch, match=message):
        layer.plan(shape)
