"""Positional layers: the sinusoids of the paper, and the shapes that are refused."""

from math import cos, sin

import numpy as np
import pytest

from core.nn.arrays import Array, Shape
from core.nn.layers.composite import Layer
from core.nn.layers.positional import PositionalEncoding, PositionEmbedding
from core.nn.network import Network
from core.nn.plan import ShapeMismatch
from core.nn.predictor import Predictor
from tests.core.nn.cases import sequential


def test_positional_encoding_of_a_step_equals_the_formula() -> None:
    """Position 3 with four features, computed by hand."""
    network = Network(sequential(PositionalEncoding()), (5, 4))
    no_weights: Array = np.zeros(0)
    y = Predictor(network, no_weights, no_weights).outputs(np.zeros((2, 5, 4)))
    np.testing.assert_allclose(y[1, 3], [sin(3), cos(3), sin(0.03), cos(0.03)])


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (PositionalEncoding(), (4,), r"needs \(steps, features\)"),
        (PositionEmbedding(sequence_length=2), (3, 4), "raise `sequence_length`"),
        (PositionEmbedding(sequence_length=2), (2, 3, 4), r"needs \(steps, features\)"),
    ],
)
def test_wrong_shape_is_refused_with_a_remedy(layer: Layer, shape: Shape, message: str) -> None:
    with pytest.raises(ShapeMismatch, match=message):
        layer.plan(shape)
