"""A copy of a network in PyTorch."""

from typing import Any

from core.nn.layers.activation import ActivationLayer
from core.nn.layers.composite import Sequential
from core.nn.layers.dense import Dense
from core.nn.layers.normalization import BatchNormalization
from tests.core.nn.trainings import ATraining


def torch_copy(torch: Any, architecture: Sequential, training: ATraining) -> Any:
    """Return the same network in PyTorch, with the same initial weights."""
    modules: list[Any] = []
    width = training.network.input_shape[-1]
    activations = {
        "relu": torch.nn.ReLU,
        "tanh": torch.nn.Tanh,
        "sigmoid": torch.nn.Sigmoid,
        "softplus": torch.nn.Softplus,
    }
    activations |= {"linear": torch.nn.Identity, "gelu": torch.nn.GELU}
    assert training.state is not None
    views = training.network.views(training.weights, training.state.statistics)
    for layer, view in zip(architecture.layers, views.parts, strict=True):
        if isinstance(layer, Dense):
            linear = torch.nn.Linear(width, layer.units)
            linear.weight.data = torch.from_numpy(view.weights["kernel"].T.copy())
            linear.bias.data = torch.from_numpy(view.weights["bias"].copy())
            modules += [linear, activations[layer.activation.type]()]
            width = layer.units
        elif isinstance(layer, BatchNormalization):
            modules.append(torch.nn.BatchNorm1d(width, eps=layer.epsilon, momentum=1 - layer.momentum))
        else:
            assert isinstance(layer, ActivationLayer)
            modules.append(activations[layer.activation.type]())
    return torch.nn.Sequential(*modules)
