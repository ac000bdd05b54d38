"""Handwritten digits: the core beside scikit-learn's MLPClassifier, same network, epochs, batches and optimizer."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from statistics import median
from typing import Any
from warnings import catch_warnings, simplefilter

import numpy as np

from benchmarks.outcome import Missing, Outcome, at_least, ratios
from core.nn.activations import Relu
from core.nn.layers.composite import Sequential
from core.nn.layers.dense import Dense
from core.nn.losses.categorical import CrossEntropy
from core.nn.network import Network
from core.nn.optimizers.adam import Adam
from core.nn.predictor import Predictor
from core.nn.schedules import ConstantRate
from core.nn.step.state import start
from core.nn.training.learner import Learner
from core.nn.training.options import Training

EPOCHS, BATCH, RATE, UNITS, HELD_OUT = 30, 32, 0.001, 64, 360
ROUNDS = 7


@dataclass(frozen=True)
class Digits:
    """Return pixels `(rows, 64)` in [0, 1], float32, and the digits `(rows,)`."""

    x: Any
    y: Any
    x_validation: None = None
    y_validation: None = None
    sample_weight: None = None
    sample_weight_validation: None = None
    x_test: None = None
    y_test: None = None
    sample_weight_test: None = None
    lengths: None = None


def measure() -> Iterator[Outcome]:
    """Yield the speed ratio, with the accuracy of both on held-out rows."""
    try:
        datasets, networks = import_module("sklearn.datasets"), import_module("sklearn.neural_network")
    except ImportError as error:
        raise Missing("sklearn", error) from None
    x, y = datasets.load_digits(return_X_y=True)
    x, y = (x / 16).astype(np.float32), y.astype(np.int64)
    rows, test = Digits(x[HELD_OUT:], y[HELD_OUT:]), Digits(x[:HELD_OUT], y[:HELD_OUT])
    own, other = [], []
    for seed in range(ROUNDS):
        own.append(_timed(partial(ours, rows, test, seed)))
        other.append(_timed(partial(theirs, networks, rows, test, seed)))
    ratio, spread = ratios([taken for taken, _ in other], [taken for taken, _ in own])
    note = f"{spread}; {_told(own)}, scikit-learn {_told(other)}"
    yield at_least(f"digits against scikit-learn's MLPClassifier: 64-{UNITS}-10, {EPOCHS} epochs", ratio, 3, "×", note)


def ours(rows: Digits, test: Digits, seed: int) -> float:
    """Train and return the accuracy on the test rows."""
    architecture = Sequential(layers=(Dense(units=UNITS, activation=Relu()), Dense(units=10)))
    network, optimizer = Network(architecture, (64,)), Adam(learning_rate=ConstantRate(learning_rate=RATE))
    state = start(network, optimizer, seed)
    training = Training(epochs=EPOCHS, batch_size=BATCH)
    for _ in Learner(network, CrossEntropy(), optimizer, training, rows, state).train():
        pass
    outputs = Predictor(network, state.weights, state.statistics).outputs(test.x)
    return float((outputs.argmax(axis=1) == test.y).mean())


def theirs(networks: Any, rows: Digits, test: Digits, seed: int) -> float:
    """Do the same with scikit-learn, without early stopping and without penalties."""
    net = networks.MLPClassifier(
        (UNITS,),
        alpha=0.0,
        batch_size=BATCH,
        learning_rate_init=RATE,
        max_iter=EPOCHS,
        n_iter_no_change=EPOCHS + 1,
        random_state=seed,
    )
    with catch_warnings():
        simplefilter("ignore")  # it warns that it has not converged
        net.fit(rows.x, rows.y)
    return float(net.score(test.x, test.y))


def _timed(run: Callable[[], float]) -> tuple[float, float]:
    began = time.perf_counter()
    right = run()
    return time.perf_counter() - began, right


def _told(measured: list[tuple[float, float]]) -> str:
    seconds, right = (median(part) for part in zip(*measured, strict=True))
    return f"{seconds:.2f} s and {right:.1%} right"
