"""Optimizers that wrap another one, against PyTorch and their definitions."""

from typing import Any

import numpy as np
import pytest

from core.nn.activations import Tanh
from core.nn.layers.activation import ActivationLayer
from core.nn.layers.dense import Dense
from core.nn.layers.normalization import BatchNormalization
from core.nn.losses.categorical import CrossEntropy
from core.nn.optimizers import adam, sgd, wrappers
from core.nn.optimizers.wrappers import Optimizer
from core.nn.regularizers import L2
from core.nn.step.context import PassContext
from core.nn.training.options import Step, Training
from tests.core.nn.cases import PLAIN, sequential
from tests.core.nn.optimizers.minimization import STEPS, minimize, random_hessian, rate
from tests.core.nn.torch_copy import torch_copy
from tests.core.nn.trainings import ATraining, Rows, classes

FULL_BATCH = Training(epochs=50, batch_size=64, shuffle=False, metrics=())

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
"""Wrappers with patterns, for a kernel of 24 and a bias of 16 numbers, and the parameter groups of PyTorch."""


@pytest.mark.parametrize(("optimizer", "name", "groups"), GROUPED, ids=lambda v: getattr(v, "type", ""))
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-10), (np.float32, 1e-5)], ids=["64", "32"])
def test_weight_patterns_match_parameter_groups_of_torch(
    torch: Any, optimizer: Optimizer, name: str, groups: list[dict[str, Any]], dtype: Any, tolerance: float
) -> None:
    rng = np.random.default_rng(0)
    hessian = random_hessian(rng).astype(dtype)
    start = rng.standard_normal(40).astype(dtype)
    names = ("layers/0/kernel", "layers/0/bias")
    ours = minimize(optimizer, lambda w: hessian @ w - 1, start, shapes=((4, 6), (16,)), names=names)
    parts = [torch.nn.Parameter(torch.from_numpy(part.copy())) for part in (start[:24], start[24:])]
    options = {"eps": 1e-7} if name == "AdamW" else {}
    parameter_groups = [{"params": [part], "lr": 0.01} | group for part, group in zip(parts, groups, strict=True)]
    torch_optimizer = getattr(torch.optim, name)(parameter_groups, **options)
    torch.set_default_dtype(parts[0].dtype)
    for _ in range(STEPS):
        gradient = torch.from_numpy(hessian) @ torch.cat([part.detach() for part in parts]) - 1
        parts[0].grad, parts[1].grad = gradient[:24].clone(), gradient[24:].clone()
        torch_optimizer.step()
    torch.set_default_dtype(torch.float32)
    theirs = torch.cat([part.detach() for part in parts]).numpy()
    np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    ("clip", "name", "bound"),
    [
        (wrappers.ClipByNorm(max_norm=0.7, optimizer=PLAIN), "clip_grad_norm_", 0.7),
        (wrappers.ClipByWeightNorm(max_norm=0.7, optimizer=PLAIN), "clip_grad_norm_", 0.7),
        (wrappers.ClipByValue(clip_value=0.3, optimizer=PLAIN), "clip_grad_value_", 0.3),
    ],
    ids=["norm", "weight", "value"],
)
def test_clipped_gradient_matches_torch(torch: Any, clip: Optimizer, name: str, bound: float) -> None:
    gradient = np.random.default_rng(2).standard_normal(30)
    parts = [torch.nn.Parameter(torch.zeros(n, dtype=torch.float64)) for n in (6, 24)]
    parts[0].grad, parts[1].grad = torch.from_numpy(gradient[:6].copy()), torch.from_numpy(gradient[6:].copy())
    groups = [parts] if clip.type != "clip_by_weight_norm" else [[part] for part in parts]
    for group in groups:
        getattr(torch.nn.utils, name)(group, bound)
    ctx = PassContext(np.float64, training=True, shapes=((2, 3), (24,)))
    weights = np.zeros(30)
    clip.update(weights, gradient.copy(), {}, 0, 1.0, ctx)
    expected = np.concatenate([part.grad.numpy() for part in parts])
    np.testing.assert_allclose(-weights, expected, rtol=1e-5)


def test_gradient_accumulation_over_four_batches_equals_one_large_batch() -> None:
    data = classes(60)
    whole = ATraining(data, sequential(Dense(units=2)), training=Training(epochs=3, batch_size=60, shuffle=False))
    accumulated = wrappers.GradientAccumulation(steps=4, optimizer=adam.Adam())
    parts = ATraining(
        data,
        sequential(Dense(units=2)),
        optimizer=accumulated,
        training=Training(epochs=3, batch_size=15, shuffle=False),
    )
    whole.run()
    parts.run()
    np.testing.assert_allclose(parts.weights, whole.weights, rtol=1e-5, atol=1e-6)


def test_exponential_moving_average_matches_torch(torch: Any) -> None:
    gradient = np.random.default_rng(0).standard_normal(8)
    inner = sgd.GradientDescent(learning_rate=rate(0.1))
    average = wrappers.ExponentialMovingAverage(momentum=0.7, overwrite_frequency=20, optimizer=inner)
    ours = minimize(average, lambda w: gradient * w, np.ones(8), steps=20)
    weights = torch.nn.Parameter(torch.ones(8, dtype=torch.float64))
    module = torch.nn.ParameterList([weights])
    average_function = torch.optim.swa_utils.get_ema_multi_avg_fn(0.7)
    theirs = torch.optim.swa_utils.AveragedModel(module, multi_avg_fn=average_function)
    theirs.update_parameters(module)  # the first call copies
    for _ in range(20):
        with torch.no_grad():
            weights -= 0.1 * torch.from_numpy(gradient) * weights
        theirs.update_parameters(module)
    np.testing.assert_allclose(ours, next(iter(theirs.module)).detach().numpy(), rtol=1e-10)


def test_lookahead_slow_step_is_half_of_the_fast_steps() -> None:
    inner = sgd.GradientDescent(learning_rate=rate(0.1))
    lookahead = wrappers.Lookahead(sync_period=2, slow_step_size=0.5, optimizer=inner)
    found = minimize(lookahead, lambda w: w, np.ones(1), steps=4)
    slow = 1.0
    for _ in range(2):
        slow += 0.5 * (slow * 0.9 * 0.9 - slow)
    np.testing.assert_allclose(found, slow)


@pytest.mark.parametrize("penalty", [None, L2(l2=0.02)], ids=["without_penalty", "with_penalty"])
def test_sharpness_aware_matches_its_algorithm_in_torch(torch: Any, penalty: L2 | None) -> None:
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
    ours = ATraining(Rows(x, y), architecture, CrossEntropy(), aware, FULL_BATCH)
    net = torch_copy(torch, architecture, ours)
    torch_optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    norms = [module for module in net if isinstance(module, torch.nn.BatchNorm1d)]

    def loss_and_gradient() -> Any:
        torch_optimizer.zero_grad()
        value = torch.nn.functional.cross_entropy(net(torch.from_numpy(x)), torch.from_numpy(y))
        value = value + (0.02 * (net[0].weight ** 2).sum() if penalty else 0)
        value.backward()
        return value.item()

    expected = []
    for _ in range(50):
        expected.append(loss_and_gradient())
        start = [weight.detach().clone() for weight in net.parameters()]
        norm = torch.cat([weight.grad.reshape(-1) for weight in net.parameters()]).norm()
        for module in norms:
            module.momentum = 0.0  # only the first pass updates the statistics
        with torch.no_grad():
            for weight in net.parameters():
                weight += 0.3 * weight.grad / norm
        loss_and_gradient()
        with torch.no_grad():
            for weight, before in zip(net.parameters(), start, strict=True):
                weight.copy_(before)
        for module in norms:
            module.momentum = 1 - 0.99
        torch_optimizer.step()
    found = [item.loss for item in ours.run() if isinstance(item, Step)]
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert ours.state is not None
    moving_mean = ours.network.views(ours.weights, ours.state.statistics).parts[1].statistics["moving_mean"]
    np.testing.assert_allclose(moving_mean, norms[0].running_mean.numpy(), rtol=1e-4, atol=1e-6)
