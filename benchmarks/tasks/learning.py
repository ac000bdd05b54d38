"""Train on arrays with the parts of a job spec that say how to train."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from core.nn.layers.composite import Sequential
from core.nn.losses import Loss
from core.nn.network import Network
from core.nn.optimizers.wrappers import Optimizer
from core.nn.predictor import Predictor
from core.nn.step.state import State, start
from core.nn.training.learner import Learner
from core.nn.training.options import Training


class Recipe(BaseModel):
    """The parts of a job spec that say how to train."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    architecture: Sequential
    loss: Loss
    optimizer: Optimizer
    training: Training


@dataclass(frozen=True)
class Rows:
    """Inputs `(rows, …)` in float32 and targets (numbers or class ids)."""

    x: Any
    y: Any
    x_validation: Any = None
    y_validation: Any = None
    sample_weight: Any = None
    sample_weight_validation: Any = None
    x_test: Any = None
    y_test: Any = None
    sample_weight_test: Any = None
    lengths: Any = None


@dataclass(frozen=True)
class Learnt:
    """A trained network."""

    network: Network
    state: State

    def outputs(self, x: Any) -> Any:
        """Return the outputs for rows `(rows, …)`."""
        return Predictor(self.network, self.state.weights, self.state.statistics).outputs(x)

    def right(self, x: Any, y: Any) -> float:
        """Return the accuracy against class ids `y` `(rows,)`."""
        return float((self.outputs(x).argmax(axis=1) == y).mean())


def learn(recipe: Mapping[str, Any], rows: Rows, seed: int) -> Learnt:
    """Train to the end and return the trained network."""
    made = Recipe.model_validate_json(json.dumps(recipe))
    network = Network(made.architecture, rows.x.shape[1:])
    state = start(network, made.optimizer, seed)
    with np.errstate(all="ignore"):
        for _ in Learner(network, made.loss, made.optimizer, made.training, rows, state).train():
            pass
    return Learnt(network, state)


def folds(rows: int, count: int, seed: int) -> Iterator[tuple[Any, Any]]:
    """Yield training rows and test rows of each of `count` folds."""
    order = np.random.default_rng(seed).permutation(rows)
    parts = np.array_split(order, count)
    for turn, part in enumerate(parts):
        yield np.concatenate(parts[:turn] + parts[turn + 1 :]), part
