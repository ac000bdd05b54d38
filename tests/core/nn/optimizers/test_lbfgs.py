"""L-BFGS and its line search against PyTorch."""

import importlib
import math
from typing import Any

import numpy as np
import pytest

from core.data.sources.builtin import Builtin
from core.nn.activations import Tanh
from core.nn.arrays import Array
from core.nn.layers.composite import Sequential
from core.nn.layers.dense import Dense
from core.nn.losses import Loss
from core.nn.losses.binary import BinaryCrossEntropy
from core.nn.losses.regression import MeanSquaredError
from core.nn.optimizers import lbfgs
from core.nn.optimizers.slots import initial_slots
from core.nn.step.context import PassContext
from core.nn.step.state import State
from core.nn.training.options import Step, Training
from tests.core.nn.cases import sequential
from tests.core.nn.optimizers.minimization import rate
from tests.core.nn.torch_copy import torch_copy
from tests.core.nn.trainings import ATraining, Rows


def minimize_with_reevaluation(optimizer: lbfgs.Lbfgs, function: Any, start: Array, steps: int) -> list[Array]:
    """Return the weights after each step; `function` returns the loss and its gradient."""
    weights, gradient = start.copy(), np.empty_like(start)
    slots = initial_slots(optimizer.slots(), (weights.shape,), weights.dtype)

    def reevaluate() -> float:
        loss, gradient[...] = function(weights)
        return float(loss)

    found = []
    for step in range(steps):
        ctx = PassContext(start.dtype, training=True)
        ctx.loss, ctx.reevaluate = reevaluate(), reevaluate
        optimizer.update(weights, gradient, slots, step, optimizer.learning_rate.at(step, steps), ctx)
        found.append(weights.copy())
    return found


def rosenbrock(w: Any) -> tuple[Any, Any]:
    """Return Rosenbrock's function of several variables, and its gradient."""
    a, b = w[:-1], w[1:]
    slope = np.zeros_like(w)
    slope[:-1] += -2 * (1 - a) - 400 * a * (b - a * a)
    slope[1:] += 200 * (b - a * a)
    return np.sum((1 - a) ** 2 + 100 * (b - a * a) ** 2), slope


def quadratic_with_waves(w: Any) -> tuple[Any, Any]:
    """Return a quadratic function with waves, which needs a line search, and its gradient."""
    return np.sum(0.05 * w * w + np.cos(3 * w)), 0.1 * w - 3 * np.sin(3 * w)


@pytest.mark.parametrize(
    "function",
    [rosenbrock, quadratic_with_waves, lambda w: (np.sum(w**4), 4 * w**3)],
    ids=["rosenbrock", "quadratic_with_waves", "flat"],
)
@pytest.mark.parametrize("options", [{}, {"lr": 0.05}, {"lr": 8.0}, {"history_size": 3}], ids=str)
def test_lbfgs_steps_match_torch(torch: Any, function: Any, options: dict[str, Any]) -> None:
    start = np.random.default_rng(0).standard_normal(6) + 1
    options = {"lr": 1.0, "history_size": 10} | options
    optimizer = lbfgs.Lbfgs(learning_rate=rate(options["lr"]), history_size=options["history_size"])
    ours = minimize_with_reevaluation(optimizer, function, start, 40)
    theirs = torch.nn.Parameter(torch.from_numpy(start.copy()))
    torch_optimizer = torch.optim.LBFGS(
        [theirs], max_iter=1, max_eval=26, tolerance_grad=0, line_search_fn="strong_wolfe", **options
    )

    def closure() -> Any:
        loss, slope = function(theirs.detach().numpy())
        theirs.grad = torch.from_numpy(slope)
        return torch.tensor(loss)

    torch.set_default_dtype(torch.float64)
    for found in ours:
        torch_optimizer.step(closure)
        np.testing.assert_allclose(found, theirs.detach().numpy(), rtol=1e-6, atol=1e-6)
    torch.set_default_dtype(torch.float32)
    assert function(ours[-1])[0] < function(ours[0])[0] < function(start)[0]


def random_bounded_function(rng: Any) -> Any:
    """Return a function of one number with its derivative: a quadratic with waves that decreases at 0."""
    while True:
        a, b, c, e, p = rng.uniform([0, 0, 0, 0.1, 0], [1, 5, 3, 30, 6])
        if 2 * a * b + c * e * math.sin(p) > 0:
            return lambda t: (a * (t - b) ** 2 + c * math.cos(e * t + p), 2 * a * (t - b) - c * e * math.sin(e * t + p))


def unbounded_line(t: float) -> tuple[float, float]:
    """Return a line without a minimum, and its derivative."""
    return -t, -1.0


def line_with_a_jump(t: float) -> tuple[float, float]:
    """Return a line that jumps up, for which no step length meets the conditions, and its derivative."""
    return (-t, -1.0) if t < 1 / 3 else (9.0, -1.0)


@pytest.mark.parametrize("shortest", [1e-9, 0.3])
def test_line_search_finds_the_step_length_of_torch(torch: Any, shortest: float) -> None:
    strong_wolfe: Any = vars(importlib.import_module("torch.optim.lbfgs"))["_strong_wolfe"]
    rng = np.random.default_rng(0)
    for function in [*(random_bounded_function(rng) for _ in range(2000)), unbounded_line, line_with_a_jump]:
        first = 10 ** rng.uniform(-2, 2)

        def evaluate_torch(_: Any, t: Any, __: Any, function: Any = function) -> Any:
            loss, slope = function(float(t))
            return loss, torch.tensor([slope], dtype=torch.float64)

        def evaluate(t: float, function: Any = function) -> lbfgs.Point:
            return lbfgs.Point(t, *function(t))

        loss, slope = evaluate_torch(None, 0, None)
        direction = torch.ones(1, dtype=torch.float64)
        *_, length, _ = strong_wolfe(
            evaluate_torch, None, first, direction, loss, slope, slope[0], tolerance_change=shortest
        )
        found = lbfgs.strong_wolfe(evaluate, evaluate(0.0), first, shortest)
        assert found == pytest.approx(float(length), rel=1e-6, abs=1e-12)


SMALL_PROBLEMS: list[tuple[str, Sequential, Loss, str, int, float]] = [  # …, steps compared, loss after 150
    ("xor", sequential(Dense(units=8, activation=Tanh()), Dense(units=1)), BinaryCrossEntropy(), "bce", 30, 1e-4),
    (
        "spirals",
        sequential(Dense(units=16, activation=Tanh()), Dense(units=16, activation=Tanh()), Dense(units=1)),
        BinaryCrossEntropy(), "bce", 25, 0.05,
    ),
    ("sine", sequential(Dense(units=16, activation=Tanh()), Dense(units=1)), MeanSquaredError(), "mse", 25, 1e-4),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "net", "loss", "criterion", "steps", "final_loss"), SMALL_PROBLEMS, ids=lambda v: str(v)[:8]
)
def test_lbfgs_on_small_problems_has_the_losses_of_torch(
    torch: Any, name: Any, net: Sequential, loss: Loss, criterion: str, steps: int, final_loss: float
) -> None:
    x, y, *_ = Builtin(name=name).arrays()
    x = ((x - x.mean(axis=0)) / x.std(axis=0)).astype(np.float64)
    y = y.reshape(len(x), -1).astype(np.float64)
    training = Training(epochs=150, batch_size=len(x), shuffle=False, metrics=())
    ours = ATraining(Rows(x, y), net, loss, lbfgs.Lbfgs(), training)
    start = ours.state
    assert start is not None
    double = {name: array.astype(np.float64) for name, array in start.arrays().items() if name != "order"}
    ours.state = State.restore(double | {"order": start.order}, start.counters())
    copy = torch_copy(torch, net, ours)
    criteria = {"bce": torch.nn.functional.binary_cross_entropy_with_logits, "mse": torch.nn.functional.mse_loss}
    torch_optimizer = torch.optim.LBFGS(
        copy.parameters(), max_iter=1, max_eval=26, history_size=10, tolerance_grad=0, line_search_fn="strong_wolfe"
    )

    def closure() -> Any:
        torch_optimizer.zero_grad()
        value = criteria[criterion](copy(torch.from_numpy(x)), torch.from_numpy(y))
        value.backward()
        return value

    found = [item.loss for item in ours.run() if isinstance(item, Step)]
    torch.set_default_dtype(torch.float64)
    expected = [torch_optimizer.step(closure).item() for _ in range(steps)]
    torch.set_default_dtype(torch.float32)
    np.testing.assert_allclose(found[:steps], expected, rtol=1e-4)
    assert found[-1] < final_loss
