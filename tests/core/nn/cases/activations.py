"""A table of activations: at least one row for each member."""

from core.nn import activations
from core.nn.activations import Activation

ACTIVATIONS: list[Activation] = [
    activations.Linear(),
    activations.Relu(),
    activations.Relu(negative_slope=0.1, max_value=0.5),
    activations.Relu(max_value=6),
    activations.LeakyRelu(),
    activations.Elu(),
    activations.Elu(alpha=0.3),
    activations.Selu(),
    activations.Tanh(),
    activations.Sigmoid(),
    activations.HardTanh(),
    activations.HardSigmoid(),
    activations.Softsign(),
    activations.Exponential(),
    activations.Softplus(),
    activations.Gelu(),
    activations.Gelu(approximate=True),
    activations.Silu(),
    activations.Mish(),
    activations.Softmax(),
    activations.LogSoftmax(),
]
