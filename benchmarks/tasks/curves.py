"""XOR, two spirals and the sine by L-BFGS on all rows at once, beside scikit-learn's MLP with its own L-BFGS.

Spirals and sine are tested between the training rows. Both sides have the same tanh layers; a score is the mean over
five seeds.
"""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.outcome import Outcome, at_least, at_most
from benchmarks.tasks.learning import Rows, learn
from benchmarks.tasks.peers import sklearn

NETS = 5
STEPS = 300
BIASES = {"type": "random_uniform", "minval": -0.5, "maxval": 0.5}
"""Random biases, as in scikit-learn: with zero biases a tanh network is odd, and stays so on the spirals."""

Drawn = tuple[Any, Any]
"""Inputs `(rows, …)` and class ids or numbers `(rows,)`."""


@dataclass(frozen=True)
class Problem:
    """Training rows, test rows, and the hidden units of the networks."""

    name: str
    learnt: Callable[[], Drawn]
    asked: Callable[[], Drawn]
    units: tuple[int, ...]
    classes: int = 0


def _xor() -> Drawn:
    return np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), np.array([0, 1, 1, 0])


def _spirals(shift: float) -> Drawn:
    """Return 97 points per arm (Lang & Witbrock 1988), shifted by `part` of the way to the next point."""
    along = (np.arange(97) + shift) * np.pi / 16
    radius = 6.5 * (104 - np.arange(97) - shift) / 104
    arm = np.stack([radius * np.sin(along), radius * np.cos(along)], axis=1) / 6.5
    return np.concatenate([arm, -arm]), np.repeat([0, 1], 97)


def _sine(count: int) -> Drawn:
    x = np.linspace(-np.pi, np.pi, count)
    return x[:, None] / np.pi, np.sin(x)


PROBLEMS = (
    Problem("XOR", _xor, _xor, (8,), classes=2),
    Problem("two spirals", lambda: _spirals(0), lambda: _spirals(0.5), (32, 32), classes=2),
    Problem("sine", lambda: _sine(60), lambda: _sine(1001), (16,)),
)


def measure() -> Iterator[Outcome]:
    """Yield accuracy or root mean square error, bounded by the peer's."""
    peer = sklearn("neural_network")
    for problem in PROBLEMS:
        found = float(np.mean([_score(problem, _ours(problem, seed)) for seed in range(NETS)]))
        other = float(np.mean([_score(problem, _theirs(peer, problem, seed)) for seed in range(NETS)]))
        what = f"{problem.name} by L-BFGS, beside scikit-learn's"
        if problem.classes:
            yield at_least(what, found, round(other, 1), "% right", f"scikit-learn {other:.1f}")
        else:
            yield at_most(what, 1000 * found, round(1000 * other, 2), "thousandths RMSE", f"{1000 * other:.2f}")


def _score(problem: Problem, answers: Any) -> float:
    _, true = problem.asked()
    if problem.classes:
        return 100 * float((answers == true).mean())
    return float(np.sqrt(np.square(answers - true).mean()))


def _ours(problem: Problem, seed: int) -> Any:
    x, y = problem.learnt()
    layers = [
        {"type": "dense", "units": units, "activation": "tanh", "bias_initializer": BIASES} for units in problem.units
    ]
    recipe = {
        "architecture": {"layers": [*layers, {"type": "dense", "units": problem.classes or 1}]},
        "loss": "cross_entropy" if problem.classes else "mean_squared_error",
        "optimizer": "lbfgs",
        "training": {"epochs": STEPS, "batch_size": len(x), "shuffle": False},
    }
    targets = y if problem.classes else y.astype(np.float32)[:, None]
    outputs = learn(recipe, Rows(x.astype(np.float32), targets), seed).outputs(problem.asked()[0].astype(np.float32))
    return outputs.argmax(axis=1) if problem.classes else outputs[:, 0]


def _theirs(peer: Any, problem: Problem, seed: int) -> Any:
    kind = peer.MLPClassifier if problem.classes else peer.MLPRegressor
    net = kind(
        hidden_layer_sizes=problem.units, activation="tanh", solver="lbfgs", alpha=0, max_iter=STEPS, random_state=seed
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns where it has not converged
        net.fit(*problem.learnt())
    return net.predict(problem.asked()[0])
