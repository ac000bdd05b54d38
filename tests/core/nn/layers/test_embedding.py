"""The embedding layer: its gradient for repeated indices, and inputs out of range."""

from typing import Any

import numpy as np
import pytest

from core.nn.layers.embedding import Embedding, NoSuchEmbedding
from core.nn.network import Network
from core.nn.step.context import inference
from tests.core.nn.cases import sequential


def test_gradient_sums_the_rows_of_each_index() -> None:
    network = Network(sequential(Embedding(input_dim=5, output_dim=2)), (3,))
    weights, statistics = network.initialize(np.random.default_rng(0), np.float64)
    gradient = np.ones_like(weights)
    x: Any = np.array([[4, 0, 4], [1, 4, 0]])
    views = network.views(weights, statistics, gradient)
    ctx = inference(np.float64)
    ctx.training = True
    y, backward = network.forward(x.astype(float), views, ctx)
    d_y = np.random.default_rng(1).standard_normal(y.shape)
    expected = np.zeros((5, 2))
    np.add.at(expected, x, d_y)
    backward(d_y.copy())
    np.testing.assert_allclose(gradient.reshape(5, 2), expected)


@pytest.mark.parametrize("index", [-1, 3, 0.5, np.nan, np.inf])
def test_index_out_of_range_raises_no_such_embedding(index: float) -> None:
    network = Network(sequential(Embedding(input_dim=3, output_dim=2)), (2,))
    views = network.views(*network.initialize(np.random.default_rng(0)))
    with pytest.raises(NoSuchEmbedding, match="whole numbers from 0 to 2"):
        network.forward(np.array([[0, index]], np.float32), views, inference())
