"""Whole trainings against PyTorch and scikit-learn, from the same first weights and on the same batches."""

import math
import warnings
from typing import Any

import numpy as np
import pytest

from core.nn.activations import Gelu, Relu, Sigmoid, Softplus, Tanh
from core.nn.arrays import Array
from core.nn.layers.activation import ActivationLayer
from core.nn.layers.composite import Sequential
from core.nn.layers.dense import Dense
from core.nn.layers.normalization import BatchNormalization
from core.nn.losses import Loss
from core.nn.losses.binary import BinaryCrossEntropy
from core.nn.losses.categorical import CrossEntropy
from core.nn.losses.regression import MeanSquaredError
from core.nn.optimizers.adam import Adam
from core.nn.optimizers.sgd import GradientDescent
from core.nn.predictor import Predictor
from core.nn.regularizers import L2
from core.nn.training.options import Step, Training
from harness.backends import skip_or_fail
from tests.core.nn.cases import sequential
from tests.core.nn.optimizers.minimization import rate
from tests.core.nn.torch_copy import torch_copy
from tests.core.nn.trainings import ATraining, Rows

STEPS = 200
FULL_BATCH = Training(epochs=STEPS, batch_size=64, shuffle=False, metrics=())


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
def test_training_from_the_same_start_has_the_losses_of_torch(
    torch: Any, architecture: Sequential, loss: Loss, name: str
) -> None:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((64, 5)).astype(np.float32)
    targets: dict[str, Array] = {
        "MSELoss": (x[:, :1] * x[:, 1:2] + x[:, 2:3]).astype(np.float32),
        "CrossEntropyLoss": (x[:, 0] > 0).astype(np.int64) + (x[:, 1] > 0),  # type: ignore[dict-item]
        "BCEWithLogitsLoss": (x[:, :1] * x[:, 1:2] > 0).astype(np.float32),
    }
    ours = ATraining(Rows(x, targets[name]), architecture, loss, Adam(learning_rate=rate(0.01)), FULL_BATCH)
    net = torch_copy(torch, architecture, ours)
    torch_optimizer = torch.optim.Adam(net.parameters(), lr=0.01, eps=1e-7)
    criterion = getattr(torch.nn, name)()
    found = [item.loss for item in ours.run() if isinstance(item, Step)]
    expected = []
    for _ in range(STEPS):
        torch_optimizer.zero_grad()
        value = criterion(net(torch.from_numpy(x)), torch.from_numpy(targets[name]))
        value.backward()
        torch_optimizer.step()
        expected.append(value.item())
    assert found[0] == pytest.approx(expected[0], rel=1e-5)
    assert found[:50] == pytest.approx(expected[:50], rel=1e-3)
    assert found[-1] == pytest.approx(expected[-1], rel=0.05)
    net.eval()
    assert ours.state is not None
    outputs = Predictor(ours.network, ours.weights, ours.state.statistics).outputs(x)
    np.testing.assert_allclose(outputs, net(torch.from_numpy(x)).detach().numpy(), rtol=0.1, atol=0.1)


def test_l2_regularized_dense_layer_matches_ridge_of_sklearn() -> None:
    try:
        from sklearn.linear_model import Ridge  # noqa: PLC0415  a reference only
    except ImportError as error:
        skip_or_fail("sklearn", error)
    rng = np.random.default_rng(3)
    x = rng.standard_normal((64, 6)).astype(np.float32)
    y = (x @ rng.standard_normal((6, 1)) + 0.3 + 0.1 * rng.standard_normal((64, 1))).astype(np.float32)
    alpha = 0.05
    net = sequential(Dense(units=1, kernel_regularizer=L2(l2=alpha)))
    ours = ATraining(Rows(x, y), net, MeanSquaredError(), GradientDescent(learning_rate=rate(0.2)), FULL_BATCH)
    ours.run()
    theirs = Ridge(alpha=alpha * 64, tol=1e-10).fit(x.astype(float), y[:, 0].astype(float))
    np.testing.assert_allclose(ours.weights, [*theirs.coef_, theirs.intercept_], rtol=1e-3, atol=1e-4)


def test_digits_accuracy_is_that_of_the_mlp_of_sklearn() -> None:
    try:
        from sklearn.datasets import load_digits  # noqa: PLC0415  a reference only
        from sklearn.neural_network import MLPClassifier  # noqa: PLC0415
    except ImportError as error:
        skip_or_fail("sklearn", error)
    x, y = load_digits(return_X_y=True)
    x = (x / 16).astype(np.float32)
    train, test = np.arange(len(x)) % 5 != 0, np.arange(len(x)) % 5 == 0
    training = Training(epochs=30, batch_size=64, metrics=())
    net = sequential(Dense(units=64, activation=Relu()), Dense(units=10))
    ours = ATraining(Rows(x[train], y[train]), net, CrossEntropy(), Adam(learning_rate=rate(0.003)), training)
    ours.run()
    assert ours.state is not None
    correct = Predictor(ours.network, ours.weights, ours.state.statistics).outputs(x[test]).argmax(axis=1) == y[test]
    theirs = MLPClassifier((64,), batch_size=64, learning_rate_init=0.003, max_iter=30, tol=0, random_state=0)
    theirs.n_iter_no_change = 1000
    with warnings.catch_warnings(action="ignore"):  # scikit-learn warns that it has not converged
        theirs.fit(x[train], y[train])
    assert math.isclose(correct.mean(), theirs.score(x[test], y[test]), abs_tol=0.02)
    assert correct.mean() >= 0.95
