"""The same mathematics in PyTorch and in scikit-learn gives the same numbers.

Optimizers and whole trainings, from the same first weights, on the same batches.
"""

import math
import warnings
from typing import Any

import numpy as np
import pytest

from core.nn import activations
from core.nn.activations import Activation, Gelu, Relu, Sigmoid, Softplus, Tanh
from core.nn.arena import Arena, Run
from core.nn.arrays import Array
from core.nn.layers.activation import ActivationLayer
from core.nn.layers.composite import Sequential
from core.nn.layers.dense import Dense
from core.nn.layers.normalization import BatchNormalization
from core.nn.losses import BinaryCrossEntropy, CrossEntropy, Loss, MeanSquaredError
from core.nn.optimizers import Adagrad, Adam, ClipByNorm, GradientDescent, Optimizer, StochasticGradientDescent
from core.nn.regularizers import L2
from core.nn.schedules import ConstantRate
from core.nn.training import Step, Training
from tests.backends import missing
from tests.core.nn.cases import sequential
from tests.core.nn.some import ATraining, Rows

STEPS = 200
EVERY_ROW = Training(epochs=STEPS, batch_size=64, shuffle=False, metrics=())


@pytest.fixture(scope="module")
def torch() -> Any:
    """PyTorch, if it is there."""
    try:
        import torch  # noqa: PLC0415  a reference only, outside the lock
    except ImportError as error:
        missing("torch", error)
    return torch


def rate(value: float) -> ConstantRate:
    """A constant learning rate."""
    return ConstantRate(learning_rate=value)


OPTIMIZERS: list[tuple[Optimizer, str, dict[str, Any]]] = [
    (GradientDescent(learning_rate=rate(0.05)), "SGD", {"lr": 0.05}),
    (StochasticGradientDescent(learning_rate=rate(0.05), momentum=0.9), "SGD", {"lr": 0.05, "momentum": 0.9}),
    (
        StochasticGradientDescent(learning_rate=rate(0.05), momentum=0.9, nesterov=True),
        "SGD",
        {"lr": 0.05, "momentum": 0.9, "nesterov": True},
    ),
    (Adam(learning_rate=rate(0.01)), "Adam", {"lr": 0.01, "eps": 1e-7}),
    (
        Adagrad(learning_rate=rate(0.05), epsilon=1e-10),
        "Adagrad",
        {"lr": 0.05, "initial_accumulator_value": 0.1, "eps": 1e-10},
    ),
]


def descend(optimizer: Optimizer, gradient_at: Any, start: Array) -> Array:
    """Where an optimizer comes to from `start` in `STEPS` steps."""
    weights = start.copy()
    slots = {name: np.full_like(weights, begin) for name, begin in optimizer.slots().items()}
    for step in range(STEPS):
        run = Run(Arena(start.dtype), training=True)
        at = optimizer.learning_rate.at(step, STEPS)
        optimizer.update(weights, gradient_at(weights), slots, step, at, run)
    return weights


@pytest.mark.parametrize(("optimizer", "name", "options"), OPTIMIZERS, ids=lambda v: getattr(v, "type", ""))
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-10), (np.float32, 1e-5)], ids=["64", "32"])
def test_an_optimizer_goes_where_torch_goes(
    torch: Any, optimizer: Optimizer, name: str, options: dict[str, Any], dtype: Any, tolerance: float
) -> None:
    rng = np.random.default_rng(0)
    curve = rng.standard_normal((40, 40))
    bowl = (curve @ curve.T / 40 + np.eye(40)).astype(dtype)
    start = rng.standard_normal(40).astype(dtype)
    ours = descend(optimizer, lambda w: bowl @ w - 1, start)
    theirs = torch.nn.Parameter(torch.from_numpy(start.copy()))
    stepper = getattr(torch.optim, name)([theirs], **options)
    for _ in range(STEPS):
        theirs.grad = torch.from_numpy(bowl) @ theirs.detach() - 1
        stepper.step()
    np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=tolerance, atol=tolerance)


ACTIVATIONS: list[tuple[Activation, str, dict[str, Any]]] = [
    (activations.Linear(), "Identity", {}),
    (activations.Relu(), "ReLU", {}),
    (activations.Relu(max_value=6), "ReLU6", {}),
    (activations.Relu(negative_slope=0.3), "LeakyReLU", {"negative_slope": 0.3}),
    (activations.LeakyRelu(), "LeakyReLU", {"negative_slope": 0.2}),
    (activations.Elu(alpha=0.7), "ELU", {"alpha": 0.7}),
    (activations.Selu(), "SELU", {}),
    (activations.Tanh(), "Tanh", {}),
    (activations.Sigmoid(), "Sigmoid", {}),
    (activations.HardTanh(), "Hardtanh", {}),
    (activations.HardSigmoid(), "Hardsigmoid", {}),
    (activations.Softsign(), "Softsign", {}),
    (activations.Softplus(), "Softplus", {"threshold": 1000}),
    (activations.Gelu(), "GELU", {}),
    (activations.Gelu(approximate=True), "GELU", {"approximate": "tanh"}),
    (activations.Silu(), "SiLU", {}),
    (activations.Mish(), "Mish", {}),
    (activations.Softmax(), "Softmax", {"dim": -1}),
    (activations.LogSoftmax(), "LogSoftmax", {"dim": -1}),
]


@pytest.mark.parametrize(("activation", "name", "options"), ACTIVATIONS, ids=str)
@pytest.mark.parametrize("in_place", [False, True])
def test_an_activation_is_torchs(
    torch: Any, activation: Activation, name: str, options: dict[str, Any], in_place: bool
) -> None:
    rng = np.random.default_rng(5)
    z, slope = rng.uniform(-30, 30, (50, 9)), rng.standard_normal((50, 9))
    theirs = torch.tensor(z, requires_grad=True)
    expected = getattr(torch.nn, name)(**options)(theirs)
    expected.backward(torch.from_numpy(slope.copy()))
    out = z if in_place else np.empty_like(z)
    d_z = activation.forward(z, out, Run(Arena(np.float64), training=True))(slope)
    np.testing.assert_allclose(out, expected.detach().numpy(), rtol=1e-7, atol=1e-13)
    np.testing.assert_allclose(d_z, theirs.grad.numpy(), rtol=1e-7, atol=1e-13)


def same_net(torch: Any, architecture: Sequential, training: ATraining) -> Any:
    """The same net in PyTorch, with the same first weights."""
    modules: list[Any] = []
    width = training.network.input_shape[-1]
    made = {"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh, "sigmoid": torch.nn.Sigmoid, "softplus": torch.nn.Softplus}
    made |= {"linear": torch.nn.Identity, "gelu": torch.nn.GELU}
    assert training.state is not None
    views = training.network.views(training.weights, training.state.statistics)
    for layer, view in zip(architecture.layers, views.parts, strict=True):
        if isinstance(layer, Dense):
            linear = torch.nn.Linear(width, layer.units)
            linear.weight.data = torch.from_numpy(view.weights["kernel"].T.copy())
            linear.bias.data = torch.from_numpy(view.weights["bias"].copy())
            modules += [linear, made[layer.activation.type]()]
            width = layer.units
        elif isinstance(layer, BatchNormalization):
            modules.append(torch.nn.BatchNorm1d(width, eps=layer.epsilon, momentum=1 - layer.momentum))
        else:
            assert isinstance(layer, ActivationLayer)
            modules.append(made[layer.activation.type]())
    return torch.nn.Sequential(*modules)


NETS: list[tuple[Sequential, Loss, str]] = [
    (sequential(Dense(units=16, activation=Relu()), Dense(units=1)), MeanSquaredError(), "MSELoss"),
    (
        sequential(Dense(units=16, activation=Tanh()), Dense(units=8, activation=Gelu()), Dense(units=3)),
        CrossEntropy(),
        "CrossEntropyLoss",
    ),
    (
        sequential(Dense(units=16, activation=Sigmoid()), Dense(units=8, activation=Softplus()), Dense(units=1)),
        BinaryCrossEntropy(),
        "BCEWithLogitsLoss",
    ),
    (
        sequential(Dense(units=12), BatchNormalization(), ActivationLayer(activation=Relu()), Dense(units=3)),
        CrossEntropy(),
        "CrossEntropyLoss",
    ),
]


@pytest.mark.parametrize(("architecture", "loss", "name"), NETS, ids=lambda v: getattr(v, "type", v))
def test_a_whole_training_is_torchs(torch: Any, architecture: Sequential, loss: Loss, name: str) -> None:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((64, 5)).astype(np.float32)
    targets: dict[str, Array] = {
        "MSELoss": (x[:, :1] * x[:, 1:2] + x[:, 2:3]).astype(np.float32),
        "CrossEntropyLoss": (x[:, 0] > 0).astype(np.int64) + (x[:, 1] > 0),  # type: ignore[dict-item]
        "BCEWithLogitsLoss": (x[:, :1] * x[:, 1:2] > 0).astype(np.float32),
    }
    ours = ATraining(Rows(x, targets[name]), architecture, loss, Adam(learning_rate=rate(0.01)), EVERY_ROW)
    net = same_net(torch, architecture, ours)
    stepper = torch.optim.Adam(net.parameters(), lr=0.01, eps=1e-7)
    criterion = getattr(torch.nn, name)()
    found = [item.loss for item in ours.run() if isinstance(item, Step)]
    expected = []
    for _ in range(STEPS):
        stepper.zero_grad()
        value = criterion(net(torch.from_numpy(x)), torch.from_numpy(targets[name]))
        value.backward()
        stepper.step()
        expected.append(value.item())
    assert found[0] == pytest.approx(expected[0], rel=1e-5)
    assert found[:50] == pytest.approx(expected[:50], rel=1e-3)
    assert found[-1] == pytest.approx(expected[-1], rel=0.05)
    net.eval()
    assert ours.state is not None
    answers = ours.network.predict(ours.weights, ours.state.statistics, x)
    np.testing.assert_allclose(answers, net(torch.from_numpy(x)).detach().numpy(), rtol=0.1, atol=0.1)


def test_clipping_is_torchs(torch: Any) -> None:
    gradient = np.random.default_rng(2).standard_normal(30)
    parameter = torch.nn.Parameter(torch.zeros(30, dtype=torch.float64))
    parameter.grad = torch.from_numpy(gradient.copy())
    torch.nn.utils.clip_grad_norm_([parameter], 0.7)
    clip = ClipByNorm(max_norm=0.7, optimizer=GradientDescent(learning_rate=rate(1)))
    weights = np.zeros(30)
    clip.update(weights, gradient.copy(), {}, 0, 1.0, Run(Arena(np.float64), training=True))
    np.testing.assert_allclose(-weights, parameter.grad.numpy(), rtol=1e-5)


def test_ridge_regression_is_scikit_learns() -> None:
    try:
        from sklearn.linear_model import Ridge  # noqa: PLC0415  a reference only
    except ImportError as error:
        missing("sklearn", error)
    rng = np.random.default_rng(3)
    x = rng.standard_normal((64, 6)).astype(np.float32)
    y = (x @ rng.standard_normal((6, 1)) + 0.3 + 0.1 * rng.standard_normal((64, 1))).astype(np.float32)
    alpha = 0.05
    net = sequential(Dense(units=1, kernel_regularizer=L2(l2=alpha)))
    ours = ATraining(Rows(x, y), net, MeanSquaredError(), GradientDescent(learning_rate=rate(0.2)), EVERY_ROW)
    ours.run()
    theirs = Ridge(alpha=alpha * 64, tol=1e-10).fit(x.astype(float), y[:, 0].astype(float))
    np.testing.assert_allclose(ours.weights, [*theirs.coef_, theirs.intercept_], rtol=1e-3, atol=1e-4)


def test_digits_are_learnt_as_well_as_by_scikit_learns_classifier() -> None:
    try:
        from sklearn.datasets import load_digits  # noqa: PLC0415  a reference only
        from sklearn.neural_network import MLPClassifier  # noqa: PLC0415
    except ImportError as error:
        missing("sklearn", error)
    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype(np.float32)
    known, held = np.arange(len(x)) % 5 != 0, np.arange(len(x)) % 5 == 0
    training = Training(epochs=30, batch_size=64, metrics=())
    net = sequential(Dense(units=64, activation=Relu()), Dense(units=10))
    ours = ATraining(Rows(x[known], y[known]), net, CrossEntropy(), Adam(learning_rate=rate(0.003)), training)
    ours.run()
    assert ours.state is not None
    right = ours.network.predict(ours.weights, ours.state.statistics, x[held]).argmax(axis=1) == y[held]
    theirs = MLPClassifier((64,), batch_size=64, learning_rate_init=0.003, max_iter=30, tol=0, random_state=0)
    theirs.n_iter_no_change = 1000
    with warnings.catch_warnings(action="ignore"):  # it says that thirty epochs are few
        theirs.fit(x[known], y[known])
    assert math.isclose(right.mean(), theirs.score(x[held], y[held]), abs_tol=0.02)
    assert right.mean() >= 0.95
