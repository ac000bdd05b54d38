"""Handwritten digits of 8 × 8 pixels (scikit-learn's 1,797) with a convolutional network, in five folds."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.outcome import Outcome, at_least
from benchmarks.tasks.learning import Rows, folds, learn
from benchmarks.tasks.peers import sklearn

RECIPE: dict[str, Any] = {
    "architecture": {
        "layers": [
            {"type": "conv2d", "filters": 32, "kernel_size": 3, "padding": "same", "use_bias": False},
            {"type": "batch_normalization"},
            {"type": "activation", "activation": "relu"},
            {"type": "conv2d", "filters": 48, "kernel_size": 3, "padding": "same", "use_bias": False},
            {"type": "batch_normalization"},
            {"type": "activation", "activation": "relu"},
            {"type": "max_pooling2d"},
            {"type": "dropout", "rate": 0.2},
            {"type": "flatten"},
            {"type": "dense", "units": 96, "activation": "relu"},
            {"type": "dropout", "rate": 0.4},
            {"type": "dense", "units": 10},
        ]
    },
    "loss": {"type": "cross_entropy", "label_smoothing": 0.05},
    "optimizer": {"type": "adam", "learning_rate": {"type": "cosine", "initial_learning_rate": 0.003}},
    "training": {"epochs": 25, "batch_size": 32},
}


def measure() -> Iterator[Outcome]:
    """Yield the cross-validated accuracy."""
    x, y = sklearn("datasets").load_digits(return_X_y=True)
    x, y = (x / 16).astype(np.float32).reshape(-1, 8, 8, 1), y.astype(np.int64)
    right = 0.0
    for turn, (known, asked) in enumerate(folds(len(x), 5, seed=0)):
        right += learn(RECIPE, Rows(x[known], y[known]), seed=turn).right(x[asked], y[asked]) * len(asked)
    yield at_least("digits of 8 × 8 by a convolutional net, five folds", 100 * right / len(x), 98.5, "% right")
