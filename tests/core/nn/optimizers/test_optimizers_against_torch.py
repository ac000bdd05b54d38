"""Optimizers against PyTorch: the same weights after the same steps."""

from typing import Any

import numpy as np
import pytest

from core.nn.optimizers import adam, adaptive, sgd, wrappers
from core.nn.optimizers.wrappers import Optimizer
from tests.core.nn.optimizers.minimization import STEPS, minimize, random_hessian, rate

OPTIMIZERS: list[tuple[Optimizer, str, dict[str, Any]]] = [
    (sgd.GradientDescent(learning_rate=rate(0.05)), "SGD", {"lr": 0.05}),
    (sgd.StochasticGradientDescent(learning_rate=rate(0.05)), "SGD", {"lr": 0.05}),
    (sgd.StochasticGradientDescent(learning_rate=rate(0.05), momentum=0.9), "SGD", {"lr": 0.05, "momentum": 0.9}),
    (
        sgd.StochasticGradientDescent(learning_rate=rate(0.05), momentum=0.9, nesterov=True),
        "SGD",
        {"lr": 0.05, "momentum": 0.9, "nesterov": True},
    ),
    (
        sgd.StochasticGradientDescent(learning_rate=rate(0.05), momentum=0.9, dampening=0.4),
        "SGD",
        {"lr": 0.05, "momentum": 0.9, "dampening": 0.4},
    ),
    (
        wrappers.WeightDecay(weight_decay=0.2, optimizer=adam.Adam(learning_rate=rate(0.01))),
        "AdamW",
        {"lr": 0.01, "eps": 1e-7, "weight_decay": 0.2},
    ),
    (sgd.Rprop(), "Rprop", {"lr": 0.01}),
    (
        adaptive.Adagrad(learning_rate=rate(0.05), epsilon=1e-10),
        "Adagrad",
        {"lr": 0.05, "initial_accumulator_value": 0.1, "eps": 1e-10},
    ),
    (adaptive.Adadelta(learning_rate=rate(1)), "Adadelta", {"lr": 1, "rho": 0.95, "eps": 1e-7}),
    (
        adaptive.RmsProp(learning_rate=rate(0.005), epsilon=1e-2),
        "RMSprop",
        {"lr": 0.005, "alpha": 0.9, "eps": 1e-2},
    ),
    (
        adaptive.RmsProp(learning_rate=rate(0.001), momentum=0.8, centered=True, epsilon=1e-2),
        "RMSprop",
        {"lr": 0.001, "alpha": 0.9, "eps": 1e-2, "momentum": 0.8, "centered": True},
    ),
    (adam.Adam(learning_rate=rate(0.01)), "Adam", {"lr": 0.01, "eps": 1e-7}),
    (adam.AdamW(learning_rate=rate(0.01)), "AdamW", {"lr": 0.01, "eps": 1e-7, "weight_decay": 0.004}),
    (adam.AmsGrad(learning_rate=rate(0.01)), "Adam", {"lr": 0.01, "eps": 1e-7, "amsgrad": True}),
    (adam.Adamax(learning_rate=rate(0.01)), "Adamax", {"lr": 0.01, "eps": 1e-7}),
    (adam.Nadam(learning_rate=rate(0.002)), "NAdam", {"lr": 0.002, "eps": 1e-7}),
    (adam.RAdam(learning_rate=rate(0.01)), "RAdam", {"lr": 0.01, "eps": 1e-7}),
]


@pytest.mark.parametrize(("optimizer", "name", "options"), OPTIMIZERS, ids=lambda v: getattr(v, "type", ""))
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-10), (np.float32, 1e-5)], ids=["64", "32"])
def test_optimizer_from_the_same_start_reaches_the_weights_of_torch(
    torch: Any, optimizer: Optimizer, name: str, options: dict[str, Any], dtype: Any, tolerance: float
) -> None:
    rng = np.random.default_rng(0)
    hessian = random_hessian(rng).astype(dtype)
    start = rng.standard_normal(40).astype(dtype)
    ours = minimize(optimizer, lambda w: hessian @ w - 1, start)
    theirs = torch.nn.Parameter(torch.from_numpy(start.copy()))
    torch_optimizer = getattr(torch.optim, name)([theirs], **options)
    torch.set_default_dtype(theirs.dtype)  # some optimizers of PyTorch create scalars of the default dtype
    for _ in range(STEPS):
        theirs.grad = torch.from_numpy(hessian) @ theirs.detach() - 1
        torch_optimizer.step()
    torch.set_default_dtype(torch.float32)
    np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=tolerance, atol=tolerance)
