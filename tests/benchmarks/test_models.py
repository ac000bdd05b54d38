"""The benchmark's PyTorch models equal ours: the same outputs with the same weights."""

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
    """Our weights in order, copied into PyTorch's modules."""

    def __init__(self, torch: Any, arrays: list[Array]) -> None:
        self.torch, self.remaining = torch, iter(arrays)
        self.extra_parameters = 0
        """The number of additional parameters of PyTorch: the second bias of recurrent layers."""

    def copy(self, parameter: Any, array: Array) -> None:
        assert tuple(parameter.shape) == array.shape
        with self.torch.no_grad():
            parameter.copy_(self.torch.from_numpy(np.ascontiguousarray(array)))

    def linear(self, module: Any) -> None:
        self.copy(module.weight, next(self.remaining).T)
        self.copy(module.bias, next(self.remaining))

    def normalization(self, module: Any) -> None:
        self.copy(module.weight, next(self.remaining))
        self.copy(module.bias, next(self.remaining))

    def convolution(self, module: Any) -> None:
        self.copy(module.weight, next(self.remaining).transpose(3, 2, 0, 1))
        self.copy(module.bias, next(self.remaining))

    def flattened(self, module: Any, channels: int) -> None:
        """Copy a dense layer after a flatten: PyTorch has the channels first."""
        kernel = next(self.remaining)
        side = int((len(kernel) / channels) ** 0.5)
        channels_first = kernel.reshape(side, side, channels, -1).transpose(2, 0, 1, 3).reshape(kernel.shape)
        self.copy(module.weight, channels_first.T)
        self.copy(module.bias, next(self.remaining))

    def attention(self, projections: Any, output: Any) -> None:
        kernel, output_kernel, bias, output_bias = (next(self.remaining) for _ in range(4))
        for parameter, array in ((projections.weight, kernel.T), (output.weight, output_kernel.T)):
            self.copy(parameter, array)
        for parameter, array in ((projections.bias, bias), (output.bias, output_bias)):
            self.copy(parameter, array)

    def recurrent(self, module: Any, kind: str) -> None:
        kernel, recurrent, bias = next(self.remaining), next(self.remaining), next(self.remaining)
        if kind == "gru":  # PyTorch has r before z
            kernel, recurrent, bias = (_swapped(array) for array in (kernel, recurrent, bias))
            first, second = bias
        else:
            first, second = bias, np.zeros_like(bias)
            self.extra_parameters += second.size
        for name, array in (
            ("weight_ih", kernel.T),
            ("weight_hh", recurrent.T),
            ("bias_ih", first),
            ("bias_hh", second),
        ):
            self.copy(getattr(module, f"{name}_l0"), array)


def _swapped(gates: Array) -> Array:
    z, r, g = np.split(gates, 3, axis=-1)
    return np.concatenate([r, z, g], axis=-1)


def load_weights(weights: Weights, net: Net, model: Any) -> None:
    """Copy all of our weights into the model."""
    if isinstance(net, Transformer):
        for embedding in (model.tokens, model.places):
            weights.copy(embedding.weight, next(weights.remaining))
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


def as_torch_input(torch: Any, net: Net, x: Array) -> Any:
    """Return `x` as PyTorch's input: images are flat, with the channels first."""
    if isinstance(net, Convolutional):
        x = x.reshape(len(x), *net.image).transpose(0, 3, 1, 2).reshape(x.shape)
    return torch.from_numpy(np.ascontiguousarray(x)).to(torch.long if isinstance(net, Transformer) else torch.float32)


@pytest.mark.parametrize("net", MUST, ids=lambda net: net.name.split(",")[0])
def test_outputs_equal_pytorch_with_the_same_weights(net: Net, torch: Any) -> None:
    _, resolved, data = planned(net)
    network = resolved.network
    vector, statistics = network.initialize(np.random.default_rng(0))
    vector += 0.01  # biases, too
    model = model_of(torch, net)
    ctx = PassContext(training=False, shapes=network.shapes)
    weights = Weights(torch, [weight for (weight,) in each_weight(ctx, vector)])
    load_weights(weights, net, model)
    assert next(weights.remaining, None) is None
    assert sum(parameter.numel() for parameter in model.parameters()) == network.parameters + weights.extra_parameters
    x = np.asarray(data.x[:ROWS])
    with torch.no_grad():
        expected = model(as_torch_input(torch, net, x)).numpy()
    found = Predictor(network, vector, statistics).outputs(x)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())
