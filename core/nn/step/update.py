"""The update of the weights: penalties, the optimizer's step, frozen weights, constraints; and its learning rate."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NoReturn, TypeAlias

import numpy as np

from core.nn.arrays import Array
from core.nn.network import Network
from core.nn.optimizers.wrappers import Optimizer
from core.nn.step.context import PassContext
from core.nn.step.reevaluation import Reevaluation
from core.nn.step.state import State

OnNonFinite: TypeAlias = Callable[[float], NoReturn]
"""Raises the error of a step whose loss, its argument, or whose gradient is not finite, at the weights of that pass."""


class WeightUpdate:
    """Constant parts of all updates of one training: the optimizer, and the network's regularizers and constraints.

    `gradient` is the vector `(parameters,)` that the backward pass writes.
    """

    def __init__(self, network: Network, optimizer: Optimizer, state: State, gradient: Array) -> None:
        self.optimizer, self.state, self.gradient = optimizer, state, gradient
        self.penalized = network.penalized(state.weights, gradient)
        self.frozen = [(view, view.copy()) for view in network.frozen(state.weights)]
        self.constrained = network.constrained(state.weights)

    def add_penalties(self, loss: float, on_nonfinite: OnNonFinite | None) -> float:
        """Return the loss with its penalties; add the gradients of the penalties to the gradient."""
        for regularizer, weight, gradient in self.penalized:
            loss += regularizer.penalty(weight)
            regularizer.add_gradient(weight, gradient)
        if on_nonfinite is not None:
            squared_norm = float(np.dot(self.gradient, self.gradient))  # may overflow although each number is finite
            if not math.isfinite(loss + squared_norm) and not self._is_finite(loss):
                on_nonfinite(loss)
        return loss

    def _is_finite(self, loss: float) -> bool:
        return math.isfinite(loss) and bool(np.isfinite(self.gradient).all())


def apply_update(
    update: WeightUpdate,
    rate: float,
    again: Reevaluation | None,
    on_nonfinite: OnNonFinite | None,
    loss: Any,
    ctx: PassContext,
) -> float:
    """Update the weights by the gradient at a learning rate; return the loss with its penalties.

    `again` evaluates the same batch at other weights, for an optimizer that takes more than one pass a step. With
    `on_nonfinite` the loss and the gradient of each pass are checked; its error leaves the weights as they were.
    """
    state = update.state
    ctx.loss = total = update.add_penalties(float(loss), on_nonfinite)
    if again is not None:
        ctx.reevaluate = lambda: update.add_penalties(again(), on_nonfinite)
    update.optimizer.update(state.weights, update.gradient, state.slots, state.step, rate, ctx)
    for weights, kept in update.frozen:  # an optimizer may change weights without a gradient, such as by weight decay
        np.copyto(weights, kept)
    for constraint, weights in update.constrained:
        constraint.apply(weights)
    return total


def scheduled_rate(optimizer: Optimizer, step: int, total_steps: int) -> float:
    """Return the learning rate of the schedule at a step, counted from 0."""
    return optimizer.learning_rate.at(step, total_steps)


def learning_rate(optimizer: Optimizer, state: State, step: int, total_steps: int) -> float:
    """Return the learning rate of a step: that of the schedule, times the factor of `reduce_lr_on_plateau`."""
    return state.rate_factor * scheduled_rate(optimizer, step, total_steps)
