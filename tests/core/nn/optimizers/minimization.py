"""Minimization of a function by an optimizer."""

from typing import Any

import numpy as np

from core.nn.arrays import Array
from core.nn.optimizers.slots import initial_slots
from core.nn.optimizers.wrappers import Optimizer
from core.nn.schedules import ConstantRate
from core.nn.step.context import PassContext

STEPS = 200


def rate(value: float) -> ConstantRate:
    """Return a constant learning rate."""
    return ConstantRate(learning_rate=value)


def random_hessian(rng: np.random.Generator) -> Array:
    """Return a positive definite matrix `(40, 40)`."""
    factor = rng.standard_normal((40, 40))
    hessian: Array = factor @ factor.T / 40 + np.eye(40)
    return hessian


def minimize(
    optimizer: Optimizer,
    gradient_at: Any,
    start: Array,
    steps: int = STEPS,
    shapes: tuple[Any, ...] = (),
    names: tuple[str, ...] = (),
) -> Array:
    """Return the weights that an optimizer reaches from `start`."""
    weights = start.copy()
    slots = initial_slots(optimizer.slots(), shapes or (weights.shape,), weights.dtype)
    for step in range(steps):
        ctx = PassContext(start.dtype, training=True, shapes=shapes, names=names)
        learning_rate = optimizer.learning_rate.at(step, STEPS)
        optimizer.update(weights, gradient_at(weights), slots, step, learning_rate, ctx)
    return weights
