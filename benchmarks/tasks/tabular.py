"""Three small tables of scikit-learn (diabetes, wine, breast cancer), in five folds, beside its own MLP and boosting.

Inputs are standardized on the training rows. Each result is the mean over five seeds, since single networks differ by
more than the two sides.
"""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.outcome import Outcome, at_least
from benchmarks.tasks.learning import Rows, folds, learn
from benchmarks.tasks.peers import sklearn

NETS = 5
FOLDS = 5


@dataclass(frozen=True)
class Table:
    """A table, its network, and the score of a prediction."""

    name: str
    load: str
    classes: int
    recipe: dict[str, Any]
    unit: str

    def score(self, answers: Any, y: Any) -> float:
        """Return accuracy or R², in per cent."""
        if self.classes:
            return 100 * float((answers.argmax(axis=1) == y).mean())
        return 100 * (1 - float(np.square(answers[:, 0] - y).sum() / np.square(y - y.mean()).sum()))


def recipe(outputs: int, loss: str, l2: float, units: int, epochs: int) -> dict[str, Any]:
    """Return a network of one hidden layer with an L2 penalty."""
    penalty = {"type": "l2", "l2": l2}
    hidden = {"type": "dense", "units": units, "activation": "relu", "kernel_regularizer": penalty}
    return {
        "architecture": {"layers": [hidden, {"type": "dense", "units": outputs, "kernel_regularizer": penalty}]},
        "loss": {"type": loss},
        "optimizer": {"type": "adam", "learning_rate": {"type": "cosine", "initial_learning_rate": 0.01}},
        "training": {"epochs": epochs, "batch_size": 32},
    }


TABLES = (
    Table("diabetes", "load_diabetes", 0, recipe(1, "mean_squared_error", 0.02, 32, 40), "% of variance explained"),
    Table("wine", "load_wine", 3, recipe(3, "cross_entropy", 0.003, 32, 60), "% right"),
    Table("breast cancer", "load_breast_cancer", 2, recipe(2, "cross_entropy", 0.01, 32, 40), "% right"),
)


def measure() -> Iterator[Outcome]:
    """Yield our score per table, bounded by scikit-learn's MLP, with its boosting as information."""
    for table in TABLES:
        x, y = getattr(sklearn("datasets"), table.load)(return_X_y=True)
        scores = {name: _score(table, way, x, y) for name, way in WAYS.items()}
        mlp, boosted = scores["MLP"], scores["boosting"]
        what = f"{table.name}, five folds, beside scikit-learn's MLP and boosting"
        note = f"MLP {mlp:.1f}, boosting {boosted:.1f}"
        yield at_least(what, scores["ours"], round(mlp, 1), table.unit, note)


def _score(table: Table, way: Callable[..., Any], x: Any, y: Any) -> float:
    answers = np.empty((len(x), table.classes or 1))
    for known, asked in folds(len(x), FOLDS, seed=0):
        mean, spread = x[known].mean(axis=0), x[known].std(axis=0)
        learnt, answered = ((x[rows] - mean) / spread for rows in (known, asked))
        answers[asked] = np.mean([way(table, learnt, y[known], answered, seed) for seed in range(NETS)], axis=0)
    return table.score(answers, y)


def _ours(table: Table, x: Any, y: Any, asked: Any, seed: int) -> Any:
    """Return class probabilities, or numbers (trained standardized)."""
    if table.classes:
        outputs = learn(table.recipe, Rows(x.astype(np.float32), y.astype(np.int64)), seed).outputs(
            asked.astype(np.float32)
        )
        shares = np.exp(outputs - outputs.max(axis=1, keepdims=True))
        return shares / shares.sum(axis=1, keepdims=True)
    mean, spread = y.mean(), y.std()
    targets = ((y - mean) / spread).astype(np.float32).reshape(-1, 1)
    learnt = learn(table.recipe, Rows(x.astype(np.float32), targets), seed)
    return learnt.outputs(asked.astype(np.float32)) * spread + mean


def _mlp(table: Table, x: Any, y: Any, asked: Any, seed: int) -> Any:
    return _fitted(table, "neural_network", "MLP", {"max_iter": 1000, "random_state": seed}, x, y, asked)


def _boosting(table: Table, x: Any, y: Any, asked: Any, seed: int) -> Any:
    return _fitted(table, "ensemble", "GradientBoosting", {"random_state": seed}, x, y, asked)


def _fitted(table: Table, module: str, name: str, options: dict[str, Any], x: Any, y: Any, asked: Any) -> Any:
    peer = getattr(sklearn(module), name + ("Classifier" if table.classes else "Regressor"))(**options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns where it has not converged
        peer.fit(x, y)
    return peer.predict_proba(asked) if table.classes else peer.predict(asked).reshape(-1, 1)


WAYS: dict[str, Callable[..., Any]] = {"ours": _ours, "MLP": _mlp, "boosting": _boosting}
