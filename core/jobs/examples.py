"""The example spec y = 2x, which the documentation, the demo, the benchmarks, the harness and the tests share."""

from typing import Any

DOUBLING: dict[str, Any] = {
    "name": "y = 2x",
    "data": {"type": "inline", "x": [[1], [2], [3], [4], [5]], "y": [[2], [4], [6], [8], [10]]},
    "architecture": {"layers": [{"type": "dense", "units": 1, "use_bias": False}]},
    "loss": {"type": "mean_squared_error"},
    "optimizer": {"type": "sgd", "learning_rate": 0.01},
    "training": {"epochs": 100, "batch_size": 5, "shuffle": False, "seed": 7},
    "metadata": {"lesson": "1"},
}
"""Five points and one weight: a hundred steps of gradient descent find that it is 2."""
