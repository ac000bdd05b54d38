"""What the bench holds against PyTorch is the same net on both sides: with the same weights, the same outputs."""

from typing import Any

import numpy as np
import pytest

from benchmarks.models import model_of
from benchmarks.nets import Convolutional, Net, Recurrent, Transformer
from benchmarks.steps import MUST, planned
from core.nn.arrays import Array
from core.nn.optimizers.slots import each_weight
from core.nn.predictor import Predictor
from core.nn.step.context import PassContext

ROWS = 6


class Weights:
    """Our weights, one after the other, laid into PyTorch's modules."""

    def __init__(self, torch: Any, arrays: list[Array]) -> None:
        self.torch, self.left = torch, iter(arrays)
        self.unequal = 0
        """How many parameters PyTorch has more: a recurrent layer's second bias where one is enough."""

    def put(self, parameter: Any, array: Array) -> None:
        assert tuple(parameter.shape) == array.shape
        with self.torch.no_grad():
            parameter.copy_(self.torch.from_numpy(np.ascontiguousarray(array)))

    def linear(self, module: Any) -> None:
        self.put(module.weight, next(self.left).T)
        self.put(module.bias, next(self.left))

    def normalization(self, module: Any) -> None:
        self.put(module.weight, next(self.left))
        self.put(module.bias, next(self.left))

    def convolution(self, module: Any) -> None:
        self.put(module.weight, next(self.left).transpose(3, 2, 0, 1))
        self.put(module.bias, next(self.left))

    def flattened(self, module: Any, channels: int) -> None:
        """A dense layer after a flatten: PyTorch has the channels first."""
        kernel = next(self.left)
        side = int((len(kernel) / channels) ** 0.5)
        channels_first = kernel.reshape(side, side, channels, -1).transpose(2, 0, 1, 3).reshape(kernel.shape)
        self.put(module.weight, channels_first.T)
        self.put(module.bias, next(self.left))

    def attention(self, projections: Any, output: Any) -> None:
        kernel, output_kernel, bias, output_bias = (next(self.left) for _ in range(4))
        for parameter, array in ((projections.weight, kernel.T), (output.weight, output_kernel.T)):
            self.put(parameter, array)
        for parameter, array in ((projections.bias, bias), (output.bias, output_bias)):
            self.put(parameter, array)

    def recurrent(self, module: Any, kind: str) -> None:
        kernel, recurrent, bias = next(self.left), next(self.left), next(self.left)
        if kind == "gru":  # PyTorch has r before z
            kernel, recurrent, bias = (_swapped(array) for array in (kernel, recurrent, bias))
            first, second = bias
        else:
            first, second = bias, np.zeros_like(bias)
            self.unequal += second.size
        for name, array in (
            ("weight_ih", kernel.T),
            ("weight_hh", recurrent.T),
            ("bias_ih", first),
            ("bias_hh", second),
        ):
            self.put(getattr(module, f"{name}_l0"), array)


def _swapped(gates: Array) -> Array:
    z, r, g = np.split(gates, 3, axis=-1)
    return np.concatenate([r, z, g], axis=-1)


def lay(weights: Weights, net: Net, model: Any) -> None:
    """All of our weights into the model."""
    if isinstance(net, Transformer):
        for embedding in (model.tokens, model.places):
            weights.put(embedding.weight, next(weights.left))
        for block in model.blocks:
            weights.normalization(block.before)
            weights.attention(block.projections, block.output)
            weights.normalization(block.between)
            weights.linear(block.wide[0])
            weights.linear(block.wide[2])
        weights.normalization(model.last)
        weights.linear(model.dense)
        return
    if isinstance(net, Recurrent):
        weights.recurrent(model.recurrent, net.layer)
        weights.linear(model.dense)
        return
    channels = 0
    for module in model:
        kind = type(module).__name__
        if kind == "Conv2d":
            weights.convolution(module)
            channels = module.out_channels
        elif kind == "Linear" and channels:
            weights.flattened(module, channels)
            channels = 0
        elif kind == "Linear":
            weights.linear(module)


def as_torch_has_it(torch: Any, net: Net, x: Array) -> Any:
    """Images come flat, and PyTorch has the channels first."""
    if isinstance(net, Convolutional):
        x = x.reshape(len(x), *net.image).transpose(0, 3, 1, 2).reshape(x.shape)
    return torch.from_numpy(np.ascontiguousarray(x)).to(torch.long if isinstance(net, Transformer) else torch.float32)


@pytest.mark.parametrize("net", MUST, ids=lambda net: net.name.split(",")[0])
def test_both_sides_are_the_same_net(net: Net, torch: Any) -> None:
    _, resolved, data = planned(net)
    network = resolved.network
    vector, statistics = network.initialize(np.random.default_rng(0))
    vector += 0.01  # biases, too
    model = model_of(torch, net)
    run = PassContext(training=False, shapes=network.shapes)
    weights = Weights(torch, [weight for (weight,) in each_weight(run, vector)])
    lay(weights, net, model)
    assert next(weights.left, None) is None
    assert sum(parameter.numel() for parameter in model.parameters()) == network.parameters + weights.unequal
    x = np.asarray(data.x[:ROWS])
    with torch.no_grad():
        expected = model(as_torch_has_it(torch, net, x)).numpy()
    found = Predictor(network, vector, statistics).outputs(x)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())
