"""The same mathematics in PyTorch and in scikit-learn gives the same numbers.

Optimizers and whole trainings, from the same first weights, on the same batches.
"""

import importlib
import itertools
import math
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from core.data.sources.builtin import Builtin
from core.nn import activations
from core.nn.activations import Activation, Gelu, Relu, Sigmoid, Softplus, Tanh
from core.nn.arrays import Array
from core.nn.layers.activation import ActivationLayer
from core.nn.layers.composite import Sequential
from core.nn.layers.dense import Dense
from core.nn.layers.normalization import BatchNormalization
from core.nn.losses import Loss, binary, contrastive, regression
from core.nn.losses import categorical as classes_
from core.nn.losses.binary import BinaryCrossEntropy
from core.nn.losses.categorical import CrossEntropy
from core.nn.losses.regression import MeanSquaredError
from core.nn.metrics import classification, probabilistic, ranking
from core.nn.metrics import regression as number_metrics
from core.nn.metrics.base import zero_sums
from core.nn.optimizers import adam, adaptive, lbfgs, matrix, sgd, wrappers
from core.nn.optimizers.adam import Adam
from core.nn.optimizers.sgd import GradientDescent
from core.nn.optimizers.slots import initial_slots, slot_lengths
from core.nn.optimizers.wrappers import Optimizer
from core.nn.predictor import Predictor
from core.nn.regularizers import L2
from core.nn.schedules import ConstantRate, OneCycle
from core.nn.step.context import PassContext
from core.nn.step.state import State
from core.nn.training.options import Step, Training
from harness.backends import missing
from tests.core.nn.cases import PLAIN, sequential
from tests.core.nn.insight.test_gradient_check import some_targets
from tests.core.nn.trainings import ATraining, Rows, classes

STEPS = 200
EVERY_ROW = Training(epochs=STEPS, batch_size=64, shuffle=False, metrics=())


def rate(value: float) -> ConstantRate:
    """A constant learning rate."""
    return ConstantRate(learning_rate=value)


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


def descend(
    optimizer: Optimizer,
    gradient_at: Any,
    start: Array,
    steps: int = STEPS,
    shapes: tuple[Any, ...] = (),
    names: tuple[str, ...] = (),
) -> Array:
    """Where an optimizer comes to from `start`."""
    weights = start.copy()
    slots = initial_slots(optimizer.slots(), shapes or (weights.shape,), weights.dtype)
    for step in range(steps):
        run = PassContext(start.dtype, training=True, shapes=shapes, names=names)
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
    torch.set_default_dtype(theirs.dtype)  # of the numbers that an optimizer of theirs counts with
    for _ in range(STEPS):
        theirs.grad = torch.from_numpy(bowl) @ theirs.detach() - 1
        stepper.step()
    torch.set_default_dtype(torch.float32)
    np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=tolerance, atol=tolerance)


GROUPED: list[tuple[Optimizer, str, list[dict[str, Any]]]] = [
    (
        wrappers.WeightDecay(weight_decay=0.1, weights=("*/kernel",), optimizer=adam.Adam(learning_rate=rate(0.01))),
        "AdamW",
        [{"weight_decay": 0.1}, {"weight_decay": 0.0}],
    ),
    (
        wrappers.LearningRateMultipliers(
            multipliers={"*/bias": 0.25, "layers/*": 2.0}, optimizer=adam.AdamW(learning_rate=rate(0.01))
        ),
        "AdamW",
        [{"weight_decay": 0.004, "lr": 0.02}, {"weight_decay": 0.004, "lr": 0.0025}],
    ),
    (
        wrappers.LearningRateMultipliers(
            multipliers={"*/bias": 0.0},
            optimizer=sgd.StochasticGradientDescent(learning_rate=rate(0.01), momentum=0.9),
        ),
        "SGD",
        [{"momentum": 0.9}, {"momentum": 0.9, "lr": 0.0}],
    ),
]
"""Wrappers that treat a kernel of 24 and a bias of 16 unlike, and PyTorch's groups of parameters that do the same."""


@pytest.mark.parametrize(("optimizer", "name", "groups"), GROUPED, ids=lambda v: getattr(v, "type", ""))
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-10), (np.float32, 1e-5)], ids=["64", "32"])
def test_layers_of_their_own_go_where_torchs_groups_go(
    torch: Any, optimizer: Optimizer, name: str, groups: list[dict[str, Any]], dtype: Any, tolerance: float
) -> None:
    rng = np.random.default_rng(0)
    curve = rng.standard_normal((40, 40))
    bowl = (curve @ curve.T / 40 + np.eye(40)).astype(dtype)
    start = rng.standard_normal(40).astype(dtype)
    names = ("layers/0/kernel", "layers/0/bias")
    ours = descend(optimizer, lambda w: bowl @ w - 1, start, shapes=((4, 6), (16,)), names=names)
    parts = [torch.nn.Parameter(torch.from_numpy(part.copy())) for part in (start[:24], start[24:])]
    more = {"eps": 1e-7} if name == "AdamW" else {}
    given = [{"params": [part], "lr": 0.01} | group for part, group in zip(parts, groups, strict=True)]
    stepper = getattr(torch.optim, name)(given, **more)
    torch.set_default_dtype(parts[0].dtype)
    for _ in range(STEPS):
        slope = torch.from_numpy(bowl) @ torch.cat([part.detach() for part in parts]) - 1
        parts[0].grad, parts[1].grad = slope[:24].clone(), slope[24:].clone()
        stepper.step()
    torch.set_default_dtype(torch.float32)
    theirs = torch.cat([part.detach() for part in parts]).numpy()
    np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


def by_the_paper_lion(g: Array, w: Array, m: Array, step: int) -> tuple[Array, Array]:
    """One step of Lion's algorithm 2 as it is printed."""
    return w - 0.01 * np.sign(0.9 * m + 0.1 * g), 0.99 * m + 0.01 * g


def by_the_paper_lamb(g: Array, w: Array, m: Any, step: int) -> tuple[Array, Any]:
    """One step of LAMB's algorithm 2 as it is printed, for weights of 24 and 16 numbers."""
    mean, square = (0.0, 0.0) if step == 0 else m
    mean, square = 0.9 * mean + 0.1 * g, 0.999 * square + 0.001 * g * g
    r = (mean / (1 - 0.9 ** (step + 1))) / (np.sqrt(square / (1 - 0.999 ** (step + 1))) + 1e-7) + 0.1 * w
    moved = [
        part - 0.01 * np.linalg.norm(part) / np.linalg.norm(along) * along
        for part, along in ((w[:24], r[:24]), (w[24:], r[24:]))
    ]
    return np.concatenate(moved), (mean, square)


@pytest.mark.parametrize(
    ("optimizer", "printed"),
    [
        (sgd.Lion(learning_rate=rate(0.01)), by_the_paper_lion),
        (adam.Lamb(learning_rate=rate(0.01), weight_decay=0.1), by_the_paper_lamb),
    ],
    ids=["lion", "lamb"],
)
def test_an_optimizer_that_torch_has_not_is_its_paper(optimizer: Optimizer, printed: Any) -> None:
    rng = np.random.default_rng(0)
    curve = rng.standard_normal((40, 40))
    bowl = curve @ curve.T / 40 + np.eye(40)
    start = rng.standard_normal(40)
    ours = descend(optimizer, lambda w: bowl @ w - 1, start, shapes=((4, 6), (16,)))
    weights, memory = start, np.zeros(40)
    for step in range(STEPS):
        weights, memory = printed(bowl @ weights - 1, weights, memory, step)
    np.testing.assert_allclose(ours, weights, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("nesterov", [True, False])
@pytest.mark.parametrize("shape", [(4, 10), (10, 4), (5, 5)])
def test_muon_is_torchs(torch: Any, shape: tuple[int, int], nesterov: bool) -> None:
    rng = np.random.default_rng(0)
    bowl = rng.standard_normal((40, 40))[: math.prod(shape), : math.prod(shape)]
    bowl = bowl @ bowl.T / 40
    start = rng.standard_normal(len(bowl))
    optimizer = matrix.Muon(learning_rate=rate(0.02), nesterov=nesterov)
    ours = descend(optimizer, lambda w: bowl @ w - 1, start, steps=5, shapes=(shape,))
    theirs = torch.nn.Parameter(torch.from_numpy(start.reshape(shape).T.copy()))
    stepper = torch.optim.Muon([theirs], lr=0.02, weight_decay=0, nesterov=nesterov)
    for _ in range(5):
        along = torch.from_numpy(bowl) @ theirs.detach().T.reshape(-1) - 1
        theirs.grad = along.reshape(shape).T.contiguous()
        stepper.step()
    moved = (theirs.detach().numpy().T.reshape(-1) - start, ours - start)
    assert np.linalg.norm(moved[0] - moved[1]) <= 0.02 * np.linalg.norm(moved[0])  # theirs are in bfloat16


@pytest.mark.parametrize("shape", [(40,), (4, 10), (10, 4), (2, 5, 4)])
@pytest.mark.parametrize("scale", [1.0, 1e-6], ids=["usual", "tiny"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-10), (np.float32, 1e-5)], ids=["64", "32"])
def test_adafactor_is_torchs(torch: Any, shape: tuple[int, ...], scale: float, dtype: Any, tolerance: float) -> None:
    rng = np.random.default_rng(0)
    start = (scale * rng.standard_normal(40)).astype(dtype)
    gradients = (scale * rng.standard_normal((STEPS, 40))).astype(dtype)  # on a slope its steps would be chaotic
    given = iter(gradients)
    optimizer = matrix.Adafactor(learning_rate=rate(0.1), clip_threshold=1.2)
    ours = descend(optimizer, lambda _: next(given), start, shapes=(shape,))
    theirs = torch.nn.Parameter(torch.from_numpy(start.reshape(shape).copy()))
    stepper = torch.optim.Adafactor([theirs], lr=0.1, eps=(1e-7, 1e-3), d=1.2)
    for gradient in gradients:
        theirs.grad = torch.from_numpy(gradient).reshape(shape)
        stepper.step()
    np.testing.assert_allclose(ours, theirs.detach().numpy().reshape(-1), rtol=tolerance, atol=tolerance)


def test_adafactor_remembers_rows_and_columns() -> None:
    shapes = ((3, 5), (5,), (2, 3, 7, 4))
    assert slot_lengths(matrix.Adafactor().slots(), shapes) == {"rows": 3 + 42, "columns": 5 + 24, "square": 5}
    wrapped = wrappers.Lookahead(optimizer=matrix.Adafactor()).slots()
    assert slot_lengths(wrapped, shapes) == {"slow": 188, "inner.rows": 45, "inner.columns": 29, "inner.square": 5}


def test_adafactor_without_relative_steps_takes_the_rate_as_it_is() -> None:
    start = np.full(4, 2.0)
    for optimizer, length in [(matrix.Adafactor(learning_rate=rate(0.5), relative_step=False), 0.5),
                              (matrix.Adafactor(learning_rate=rate(0.5)), 1 / math.sqrt(STEPS))]:  # fmt: skip
        run = PassContext(np.float64, training=True)
        weights, slots = start.copy(), initial_slots(optimizer.slots(), ((4,),), np.float64)
        optimizer.update(weights, np.ones(4), slots, STEPS - 1, 0.5, run)
        share = STEPS**-0.8
        np.testing.assert_allclose(weights, start - 2 * length * min(1, 1 / math.sqrt(share)))


def newton_descent(optimizer: lbfgs.Lbfgs, lost: Any, start: Array, steps: int) -> list[Array]:
    """Where it comes to at each step; `lost` gives the loss and its gradient."""
    weights, gradient = start.copy(), np.empty_like(start)
    slots = initial_slots(optimizer.slots(), (weights.shape,), weights.dtype)

    def again() -> float:
        loss, gradient[...] = lost(weights)
        return float(loss)

    found = []
    for step in range(steps):
        run = PassContext(start.dtype, training=True)
        run.loss, run.reevaluate = again(), again
        optimizer.update(weights, gradient, slots, step, optimizer.learning_rate.at(step, steps), run)
        found.append(weights.copy())
    return found


def valley(w: Any) -> tuple[Any, Any]:
    """Rosenbrock's function of many variables, and its gradient."""
    a, b = w[:-1], w[1:]
    slope = np.zeros_like(w)
    slope[:-1] += -2 * (1 - a) - 400 * a * (b - a * a)
    slope[1:] += 200 * (b - a * a)
    return np.sum((1 - a) ** 2 + 100 * (b - a * a) ** 2), slope


def waves(w: Any) -> tuple[Any, Any]:
    """A bowl with waves on it, on which lengths have to be looked for."""
    return np.sum(0.05 * w * w + np.cos(3 * w)), 0.1 * w - 3 * np.sin(3 * w)


@pytest.mark.parametrize("lost", [valley, waves, lambda w: (np.sum(w**4), 4 * w**3)], ids=["valley", "waves", "flat"])
@pytest.mark.parametrize("options", [{}, {"lr": 0.05}, {"lr": 8.0}, {"history_size": 3}], ids=str)
def test_lbfgs_is_torchs(torch: Any, lost: Any, options: dict[str, Any]) -> None:
    start = np.random.default_rng(0).standard_normal(6) + 1
    options = {"lr": 1.0, "history_size": 10} | options
    optimizer = lbfgs.Lbfgs(learning_rate=rate(options["lr"]), history_size=options["history_size"])
    ours = newton_descent(optimizer, lost, start, 40)
    theirs = torch.nn.Parameter(torch.from_numpy(start.copy()))
    stepper = torch.optim.LBFGS(
        [theirs], max_iter=1, max_eval=26, tolerance_grad=0, line_search_fn="strong_wolfe", **options
    )

    def closure() -> Any:
        loss, slope = lost(theirs.detach().numpy())
        theirs.grad = torch.from_numpy(slope)
        return torch.tensor(loss)

    torch.set_default_dtype(torch.float64)
    for found in ours:
        stepper.step(closure)
        np.testing.assert_allclose(found, theirs.detach().numpy(), rtol=1e-6, atol=1e-6)
    torch.set_default_dtype(torch.float32)
    assert lost(ours[-1])[0] < lost(ours[0])[0] < lost(start)[0]


def rugged(rng: Any) -> Any:
    """A function of one number and its slope: a bowl with waves, which falls at 0."""
    while True:
        a, b, c, e, p = rng.uniform([0, 0, 0, 0.1, 0], [1, 5, 3, 30, 6])
        if 2 * a * b + c * e * math.sin(p) > 0:
            return lambda t: (a * (t - b) ** 2 + c * math.cos(e * t + p), 2 * a * (t - b) - c * e * math.sin(e * t + p))


def endless(t: float) -> tuple[float, float]:
    """What falls for ever."""
    return -t, -1.0


def cliff(t: float) -> tuple[float, float]:
    """What no length meets: it falls, and then stands far above."""
    return (-t, -1.0) if t < 1 / 3 else (9.0, -1.0)


@pytest.mark.parametrize("shortest", [1e-9, 0.3])
def test_a_length_is_the_one_that_torch_finds(torch: Any, shortest: float) -> None:
    strong_wolfe: Any = vars(importlib.import_module("torch.optim.lbfgs"))["_strong_wolfe"]
    rng = np.random.default_rng(0)
    for lost in [*(rugged(rng) for _ in range(2000)), endless, cliff]:
        first = 10 ** rng.uniform(-2, 2)

        def at(_: Any, t: Any, __: Any, lost: Any = lost) -> Any:
            loss, slope = lost(float(t))
            return loss, torch.tensor([slope], dtype=torch.float64)

        def look(t: float, lost: Any = lost) -> lbfgs.Point:
            return lbfgs.Point(t, *lost(t))

        loss, slope = at(None, 0, None)
        one = torch.ones(1, dtype=torch.float64)
        *_, length, _ = strong_wolfe(at, None, first, one, loss, slope, slope[0], tolerance_change=shortest)
        found = lbfgs.strong_wolfe(look, look(0.0), first, shortest)
        assert found == pytest.approx(float(length), rel=1e-6, abs=1e-12)


SMALL_PROBLEMS: list[tuple[str, Sequential, Loss, str, int, float]] = [  # …, steps as torch's, loss after 150
    ("xor", sequential(Dense(units=8, activation=Tanh()), Dense(units=1)), BinaryCrossEntropy(), "bce", 30, 1e-4),
    (
        "spirals",
        sequential(Dense(units=16, activation=Tanh()), Dense(units=16, activation=Tanh()), Dense(units=1)),
        BinaryCrossEntropy(), "bce", 25, 0.05,
    ),
    ("sine", sequential(Dense(units=16, activation=Tanh()), Dense(units=1)), MeanSquaredError(), "mse", 25, 1e-4),
]  # fmt: skip


@pytest.mark.parametrize(("name", "net", "loss", "theirs", "steps", "least"), SMALL_PROBLEMS, ids=lambda v: str(v)[:8])
def test_lbfgs_learns_small_problems_as_torchs_does(
    torch: Any, name: Any, net: Sequential, loss: Loss, theirs: str, steps: int, least: float
) -> None:
    x, y, *_ = Builtin(name=name).arrays()
    x = ((x - x.mean(axis=0)) / x.std(axis=0)).astype(np.float64)
    y = y.reshape(len(x), -1).astype(np.float64)
    rules = Training(epochs=150, batch_size=len(x), shuffle=False, metrics=())
    ours = ATraining(Rows(x, y), net, loss, lbfgs.Lbfgs(), rules)
    start = ours.state
    assert start is not None
    double = {name: array.astype(np.float64) for name, array in start.arrays().items() if name != "order"}
    ours.state = State.restore(double | {"order": start.order}, start.counters())
    made = same_net(torch, net, ours)
    criterion = {"bce": torch.nn.functional.binary_cross_entropy_with_logits, "mse": torch.nn.functional.mse_loss}
    stepper = torch.optim.LBFGS(
        made.parameters(), max_iter=1, max_eval=26, history_size=10, tolerance_grad=0, line_search_fn="strong_wolfe"
    )

    def closure() -> Any:
        stepper.zero_grad()
        value = criterion[theirs](made(torch.from_numpy(x)), torch.from_numpy(y))
        value.backward()
        return value

    found = [item.loss for item in ours.run() if isinstance(item, Step)]
    torch.set_default_dtype(torch.float64)
    expected = [stepper.step(closure).item() for _ in range(steps)]
    torch.set_default_dtype(torch.float32)
    np.testing.assert_allclose(found[:steps], expected, rtol=1e-4)
    assert found[-1] < least


def test_muon_leaves_what_is_no_matrix_to_adam() -> None:
    start, gradient = np.ones(12), np.random.default_rng(0).standard_normal(12)
    ours = descend(matrix.Muon(), lambda w: gradient + w, start, shapes=((2, 3), (6,)))
    expected = descend(adam.Adam(), lambda w: gradient[6:] + w, start[6:])
    np.testing.assert_allclose(ours[6:], expected)
    assert not np.allclose(ours[:6], descend(adam.Adam(), lambda w: gradient[:6] + w, start[:6]))


@pytest.mark.parametrize("steps", [10, 50])
def test_one_cycle_is_torchs(torch: Any, steps: int) -> None:
    stepper = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    theirs = torch.optim.lr_scheduler.OneCycleLR(stepper, max_lr=0.5, total_steps=steps)
    schedule = OneCycle(max_lr=0.5)
    for step in range(steps):
        assert schedule.at(step, steps) == pytest.approx(stepper.param_groups[0]["lr"], rel=1e-9)
        stepper.step()
        if step + 1 < steps:
            theirs.step()


def test_accumulated_batches_are_one_batch() -> None:
    data = classes(60)
    whole = ATraining(data, sequential(Dense(units=2)), training=Training(epochs=3, batch_size=60, shuffle=False))
    four = wrappers.GradientAccumulation(steps=4, optimizer=adam.Adam())
    parts = ATraining(
        data,
        sequential(Dense(units=2)),
        optimizer=four,
        training=Training(epochs=3, batch_size=15, shuffle=False),
    )
    whole.run()
    parts.run()
    np.testing.assert_allclose(parts.weights, whole.weights, rtol=1e-5, atol=1e-6)


def test_a_moving_average_is_torchs(torch: Any) -> None:
    gradient = np.random.default_rng(0).standard_normal(8)
    descent_alone = sgd.GradientDescent(learning_rate=rate(0.1))
    average = wrappers.ExponentialMovingAverage(momentum=0.7, overwrite_frequency=20, optimizer=descent_alone)
    ours = descend(average, lambda w: gradient * w, np.ones(8), steps=20)
    weights = torch.nn.Parameter(torch.ones(8, dtype=torch.float64))
    module = torch.nn.ParameterList([weights])
    multi = torch.optim.swa_utils.get_ema_multi_avg_fn(0.7)
    theirs = torch.optim.swa_utils.AveragedModel(module, multi_avg_fn=multi)
    theirs.update_parameters(module)  # the first call copies
    for _ in range(20):
        with torch.no_grad():
            weights -= 0.1 * torch.from_numpy(gradient) * weights
        theirs.update_parameters(module)
    np.testing.assert_allclose(ours, next(iter(theirs.module)).detach().numpy(), rtol=1e-10)


def test_lookahead_goes_half_the_way_of_its_quick_steps() -> None:
    plain = sgd.GradientDescent(learning_rate=rate(0.1))
    ahead = wrappers.Lookahead(sync_period=2, slow_step_size=0.5, optimizer=plain)
    found = descend(ahead, lambda w: w, np.ones(1), steps=4)
    slow = 1.0
    for _ in range(2):
        slow += 0.5 * (slow * 0.9 * 0.9 - slow)
    np.testing.assert_allclose(found, slow)


@pytest.mark.parametrize("penalty", [None, L2(l2=0.02)], ids=["bare", "penalised"])
def test_sharpness_awareness_is_its_algorithm_in_torch(torch: Any, penalty: L2 | None) -> None:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((64, 5)).astype(np.float32)
    y = (x[:, 0] > 0).astype(np.int64) + (x[:, 1] > 0)
    architecture = sequential(
        Dense(units=12, kernel_regularizer=penalty),
        BatchNormalization(),
        ActivationLayer(activation=Tanh()),
        Dense(units=3),
    )
    inner = sgd.StochasticGradientDescent(learning_rate=rate(0.05), momentum=0.9)
    aware = wrappers.SharpnessAware(rho=0.3, optimizer=inner)
    ours = ATraining(Rows(x, y), architecture, CrossEntropy(), aware, replace(EVERY_ROW, epochs=50))
    net = same_net(torch, architecture, ours)
    stepper = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    norms = [module for module in net if isinstance(module, torch.nn.BatchNorm1d)]

    def lost() -> Any:
        stepper.zero_grad()
        value = torch.nn.functional.cross_entropy(net(torch.from_numpy(x)), torch.from_numpy(y))
        value = value + (0.02 * (net[0].weight ** 2).sum() if penalty else 0)
        value.backward()
        return value.item()

    expected = []
    for _ in range(50):
        expected.append(lost())
        start = [weight.detach().clone() for weight in net.parameters()]
        norm = torch.cat([weight.grad.reshape(-1) for weight in net.parameters()]).norm()
        for module in norms:
            module.momentum = 0.0  # only the first pass is measured
        with torch.no_grad():
            for weight in net.parameters():
                weight += 0.3 * weight.grad / norm
        lost()
        with torch.no_grad():
            for weight, before in zip(net.parameters(), start, strict=True):
                weight.copy_(before)
        for module in norms:
            module.momentum = 1 - 0.99
        stepper.step()
    found = [item.loss for item in ours.run() if isinstance(item, Step)]
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert ours.state is not None
    measured = ours.network.views(ours.weights, ours.state.statistics).parts[1].statistics["moving_mean"]
    np.testing.assert_allclose(measured, norms[0].running_mean.numpy(), rtol=1e-4, atol=1e-6)


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
    d_z = activation.forward(z, out, PassContext(np.float64, training=True))(slope)
    np.testing.assert_allclose(out, expected.detach().numpy(), rtol=1e-7, atol=1e-13)
    np.testing.assert_allclose(d_z, theirs.grad.numpy(), rtol=1e-7, atol=1e-13)


def smoothly_focal(f: Any, z: Any, t: Any) -> Any:
    """The focal loss of two classes as it is printed, γ = 2 and no balance."""
    p = f.sigmoid(z)
    p_t = p * t + (1 - p) * (1 - t)
    return (-((1 - p_t) ** 2) * p_t.log()).mean()


def of_all_pairs(f: Any, z: Any, t: Any) -> Any:
    """The contrastive loss pair by pair, margin 4; a row and itself make a pair that loses nothing."""
    lost = z.new_zeros(())
    for i, j in itertools.permutations(range(len(t)), 2):
        far = (z[i] - z[j]).norm()
        lost = lost + (far**2 if t[i] == t[j] else f.relu(4.0 - far) ** 2)
    return lost / len(t) ** 2


def of_hardest_triplets(f: Any, z: Any, t: Any) -> Any:
    """The triplet loss row by row, margin 0.7, each with the hardest two that there are."""
    lost = z.new_zeros(())
    for i in range(len(t)):
        far = [(z[i] - z[j]).norm() if i != j else z.new_zeros(()) for j in range(len(t))]
        own = max((far[j] for j in range(len(t)) if t[j] == t[i]), key=lambda d: d.item())
        other = min((far[j] for j in range(len(t)) if t[j] != t[i]), key=lambda d: d.item())
        lost = lost + f.relu(0.7 + own - other)
    return lost / len(t)


LOSSES: list[tuple[Loss, str, tuple[int, ...], Any]] = [
    (regression.MeanSquaredError(), "numbers", (3,), lambda f, z, t: f.mse_loss(z, t)),
    (regression.MeanAbsoluteError(), "numbers", (3,), lambda f, z, t: f.l1_loss(z, t)),
    (
        regression.MeanAbsolutePercentageError(), "numbers", (3,),
        lambda _, z, t: 100 * ((z - t).abs() / t.abs()).mean(),
    ),
    (
        regression.MeanSquaredLogarithmicError(), "counts", (3,),
        lambda f, z, t: f.mse_loss(f.relu(z).log1p(), t.log1p()),
    ),
    (regression.Huber(delta=0.7), "numbers", (3,), lambda f, z, t: f.huber_loss(z, t, delta=0.7)),
    (regression.LogCosh(), "numbers", (3,), lambda _, z, t: (z - t).cosh().log().mean()),
    (
        regression.Quantile(quantile=0.8), "numbers", (3,),
        lambda f, z, t: (0.8 * f.relu(t - z) + 0.2 * f.relu(z - t)).mean(),
    ),
    (regression.Poisson(), "counts", (3,), lambda f, z, t: f.poisson_nll_loss(z, t)),
    (
        regression.GaussianNegativeLogLikelihood(), "halves", (4,),
        lambda f, z, t: f.gaussian_nll_loss(z[:, :2], t, f.softplus(z[:, 2:], threshold=1000) + 1e-6, eps=1e-6),
    ),
    (regression.CosineSimilarity(), "numbers", (3,), lambda f, z, t: -f.cosine_similarity(z, t).mean()),
    (binary.BinaryCrossEntropy(), "bits", (4,), lambda f, z, t: f.binary_cross_entropy_with_logits(z, t)),
    (
        binary.BinaryCrossEntropy(label_smoothing=0.2), "bits", (4,),
        lambda f, z, t: f.binary_cross_entropy_with_logits(z, 0.8 * t + 0.1),
    ),
    (binary.BinaryFocalCrossEntropy(), "bits", (4,), smoothly_focal),
    (binary.Hinge(), "bits", (1,), lambda f, z, t: f.relu(1 - (2 * t - 1) * z).mean()),
    (binary.SquaredHinge(), "bits", (1,), lambda f, z, t: (f.relu(1 - (2 * t - 1) * z) ** 2).mean()),
    (
        binary.Dice(), "bits", (6,),
        lambda f, z, t: (1 - 2 * (f.sigmoid(z) * t).sum(1) / (f.sigmoid(z).sum(1) + t.sum(1) + 1e-7)).mean(),
    ),
    (classes_.CrossEntropy(), "classes", (5,), lambda f, z, t: f.cross_entropy(z, t)),
    (classes_.CrossEntropy(), "shares", (5,), lambda f, z, t: f.cross_entropy(z, t)),
    (
        classes_.CrossEntropy(label_smoothing=0.1), "classes", (5,),
        lambda f, z, t: f.cross_entropy(z, t, label_smoothing=0.1),
    ),
    (
        classes_.CrossEntropy(class_weight=(1, 2, 3, 4, 5)), "classes", (5,),
        lambda f, z, t: ((t + 1) * f.cross_entropy(z, t, reduction="none")).mean(),
    ),
    (
        classes_.FocalCrossEntropy(), "classes", (5,),
        lambda f, z, t: (0.25 * (1 - z.softmax(1)) ** 2 * f.one_hot(t, 5) * -z.log_softmax(1)).sum(1).mean(),
    ),
    (
        classes_.KlDivergence(), "shares", (5,),
        lambda f, z, t: f.kl_div(z.log_softmax(1), t, reduction="batchmean"),
    ),
    (
        classes_.CategoricalHinge(), "classes", (5,),
        lambda f, z, t: f.relu(
            1 + z.masked_fill(f.one_hot(t, 5).bool(), -1e9).amax(1) - z.gather(1, t[:, None])[:, 0]
        ).mean(),
    ),
    (contrastive.Contrastive(margin=4.0), "classes", (5,), of_all_pairs),
    (contrastive.Triplet(margin=0.7), "classes", (5,), of_hardest_triplets),
]  # fmt: skip


@pytest.mark.parametrize(("loss", "kind", "shape", "formula"), LOSSES, ids=lambda v: getattr(v, "type", ""))
def test_a_loss_is_torchs(torch: Any, loss: Loss, kind: str, shape: tuple[int, ...], formula: Any) -> None:
    rng = np.random.default_rng(7)
    z, t = 2 * rng.standard_normal((40, *shape)), some_targets(kind, 40, shape, rng)
    theirs = torch.tensor(z, requires_grad=True)
    expected = formula(torch.nn.functional, theirs, torch.from_numpy(t))
    expected.backward()
    value, gradient = loss.forward(z, t, PassContext(np.float64, training=True))
    assert value == pytest.approx(expected.item(), rel=1e-10)
    np.testing.assert_allclose(gradient(), theirs.grad.numpy(), rtol=1e-9, atol=1e-15)


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
    answers = Predictor(ours.network, ours.weights, ours.state.statistics).outputs(x)
    np.testing.assert_allclose(answers, net(torch.from_numpy(x)).detach().numpy(), rtol=0.1, atol=0.1)


@pytest.mark.parametrize(
    ("clip", "name", "bound"),
    [
        (wrappers.ClipByNorm(max_norm=0.7, optimizer=PLAIN), "clip_grad_norm_", 0.7),
        (wrappers.ClipByWeightNorm(max_norm=0.7, optimizer=PLAIN), "clip_grad_norm_", 0.7),
        (wrappers.ClipByValue(clip_value=0.3, optimizer=PLAIN), "clip_grad_value_", 0.3),
    ],
    ids=["norm", "weight", "value"],
)
def test_clipping_is_torchs(torch: Any, clip: Optimizer, name: str, bound: float) -> None:
    gradient = np.random.default_rng(2).standard_normal(30)
    parts = [torch.nn.Parameter(torch.zeros(n, dtype=torch.float64)) for n in (6, 24)]
    parts[0].grad, parts[1].grad = torch.from_numpy(gradient[:6].copy()), torch.from_numpy(gradient[6:].copy())
    together = [parts] if clip.type != "clip_by_weight_norm" else [[part] for part in parts]
    for some in together:
        getattr(torch.nn.utils, name)(some, bound)
    run = PassContext(np.float64, training=True, shapes=((2, 3), (24,)))
    weights = np.zeros(30)
    clip.update(weights, gradient.copy(), {}, 0, 1.0, run)
    expected = np.concatenate([part.grad.numpy() for part in parts])
    np.testing.assert_allclose(-weights, expected, rtol=1e-5)


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


def test_metrics_are_scikit_learns() -> None:
    try:
        from sklearn import metrics as theirs  # noqa: PLC0415  a reference only
    except ImportError as error:
        missing("sklearn", error)
    rng = np.random.default_rng(8)
    classes = 7
    logits: Any = rng.standard_normal((200, classes))
    true: Any = rng.integers(0, classes - 2, 200)
    logits[:, -1] = -9  # a class that is neither said nor true
    said = logits.argmax(axis=1)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    found, wanted = rng.standard_normal((200, 2)), 1 + rng.random((200, 2))
    pairs: list[tuple[Any, Any, Any, float]] = [
        (
            classification.Precision(),
            logits,
            true,
            theirs.precision_score(true, said, average="macro", zero_division=0),
        ),
        (classification.Recall(), logits, true, theirs.recall_score(true, said, average="macro", zero_division=0)),
        (
            classification.FBeta(beta=0.5),
            logits,
            true,
            theirs.fbeta_score(true, said, beta=0.5, average="macro", zero_division=0),
        ),
        (
            classification.TopKCategoricalAccuracy(k=3),
            logits,
            true,
            theirs.top_k_accuracy_score(true, logits, k=3, labels=range(classes)),
        ),
        (classification.IntersectionOverUnion(), logits, true, theirs.jaccard_score(true, said, average="macro")),
        (probabilistic.LogLoss(), logits, true, theirs.log_loss(true, shares, labels=range(classes))),
        (probabilistic.Perplexity(), logits, true, np.exp(theirs.log_loss(true, shares, labels=range(classes)))),
        (number_metrics.MeanSquaredError(), found, wanted, theirs.mean_squared_error(wanted, found)),
        (
            number_metrics.RootMeanSquaredError(),
            found,
            wanted,
            theirs.root_mean_squared_error(wanted[:, 0], found[:, 0]),
        ),
        (
            number_metrics.MeanAbsolutePercentageError(),
            found,
            wanted,
            100 * theirs.mean_absolute_percentage_error(wanted, found),
        ),
        (number_metrics.RSquared(), found[:, :1], wanted[:, :1], theirs.r2_score(wanted[:, 0], found[:, 0])),
    ]
    for metric, outputs, targets, value in pairs:
        sums = zero_sums(metric.num_sums)
        if metric.type == "root_mean_squared_error":
            outputs, targets = outputs[:, :1], targets[:, :1]
        for start in range(0, 200, 33):
            metric.add(sums, outputs[start : start + 33], targets[start : start + 33])
        assert metric.value(sums) == pytest.approx(value), metric
    matrix, sums = classification.ConfusionMatrix(), zero_sums(0)
    for start in range(0, 200, 33):
        matrix.add(sums, logits[start : start + 33], true[start : start + 33])
    assert matrix.table(sums) == theirs.confusion_matrix(true, said, labels=range(classes)).tolist()


@pytest.mark.parametrize("columns", [1, 2, 5])
def test_ranks_are_scikit_learns(columns: int) -> None:
    try:
        from sklearn import metrics as theirs  # noqa: PLC0415  a reference only
    except ImportError as error:
        missing("sklearn", error)
    rng = np.random.default_rng(8)
    some = rng.standard_normal((30, columns)).astype(np.float32)
    logits: Any = some[rng.integers(0, 30, 300)]  # many rows are equal
    true: Any = rng.integers(0, max(columns, 2), 300)
    ours = []
    for metric in (ranking.RocAuc(), ranking.PrAuc()):
        sums = zero_sums(metric.num_sums)
        for start in range(0, 300, 33):
            metric.add(sums, logits[start : start + 33], true[start : start + 33])
        ours.append(metric.value(sums))
    wide = logits.astype(np.float64)
    shares = np.exp(wide) / np.exp(wide).sum(axis=1, keepdims=True)
    scores = {1: wide[:, 0], 2: shares[:, -1]}.get(columns, shares)
    of_each = true if columns < 3 else np.eye(columns)[true]
    expected = [
        theirs.roc_auc_score(true, scores, multi_class="ovr", average="macro"),
        theirs.average_precision_score(of_each, scores, average="macro"),
    ]
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-12)


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
    right = Predictor(ours.network, ours.weights, ours.state.statistics).outputs(x[held]).argmax(axis=1) == y[held]
    theirs = MLPClassifier((64,), batch_size=64, learning_rate_init=0.003, max_iter=30, tol=0, random_state=0)
    theirs.n_iter_no_change = 1000
    with warnings.catch_warnings(action="ignore"):  # it says that thirty epochs are few
        theirs.fit(x[known], y[known])
    assert math.isclose(right.mean(), theirs.score(x[held], y[held]), abs_tol=0.02)
    assert right.mean() >= 0.95
