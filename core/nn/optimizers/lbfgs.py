"""L-BFGS: a quasi-Newton method with a line search, for full batches."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Literal, NamedTuple

import numpy as np
from annotated_types import Ge, Gt, Le

from core.nn.arrays import Array, size
from core.nn.optimizers.base import BaseOptimizer
from core.nn.optimizers.slots import Slot, Slots, SlotSpecs
from core.nn.schedules import ConstantRate, Schedule
from core.nn.step.context import PassContext

SUFFICIENT_DECREASE = 1e-4
"""c₁ of the sufficient decrease condition (Nocedal & Wright 2006, eq. 3.7a)."""
CURVATURE = 0.9
"""c₂ of the curvature condition (Nocedal & Wright 2006, eq. 3.7b)."""
MAX_EVALUATIONS = 25
"""The largest number of evaluations of a line search after the first one."""
MIN_CURVATURE = 1e-10
"""The smallest product `s · y` of a pair that is stored: a smaller one has no usable curvature."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Lbfgs(BaseOptimizer):
    """Quasi-Newton steps from the last gradients, limited memory (Nocedal & Wright 2006, alg. 7.4 and 7.5).

    A line search evaluates the loss along each direction until the step length meets the strong Wolfe conditions
    (alg. 3.5 and 3.6): a step usually takes two passes over the batch, at most 27. It needs the full batch, since the
    curvature differs between batches, and a network without random layers. It cannot be wrapped.
    """

    type: Literal["lbfgs"] = "lbfgs"
    learning_rate: Schedule = field(default=ConstantRate(learning_rate=1.0))
    """The first step length of the line search, as a multiple of the quasi-Newton step: a number or a schedule."""
    history_size: Annotated[int, Ge(1), Le(1000)] = 10
    """The number of steps whose gradient changes are stored."""
    tolerance_change: Annotated[float, Gt(0)] = 1e-9
    """The smallest slope for which a step is taken, and the smallest change of a weight in the line search."""

    @property
    def full_batch(self) -> bool:
        """Each batch must contain all training rows, since the curvature differs between batches."""
        return True

    @property
    def passes(self) -> int:
        """Usually two: the line search evaluates the loss at least once more."""
        return 2

    def slots(self) -> SlotSpecs:
        """Last gradient and step, the stored steps and gradient changes with their products, and their count."""
        history = Slot(0.0, lambda shapes: self.history_size * sum(map(size, shapes)))
        single, per_pair = Slot(0.0, lambda _: 1), Slot(0.0, lambda _: self.history_size)
        return {"last": 0.0, "step": 0.0, "steps": history, "changes": history, "products": per_pair, "pairs": single}

    def update(self, weights: Array, gradient: Array, slots: Slots, step: int, rate: float, ctx: PassContext) -> None:
        """`w ← w + t · d`, `d = −H · g`, H from the last pairs of `s = t · d` and `y = g − previous g`."""
        start, direction, scratch = (ctx.empty(weights.shape) for _ in range(3))
        if step:
            self._store_pair(gradient, slots, scratch)
        self._compute_direction(direction, gradient, slots, scratch)
        np.copyto(slots["last"], gradient)
        np.copyto(start, weights)
        length, slope = 0.0, float(np.dot(gradient, direction))
        first = rate if step else rate * min(1.0, 1 / float(np.add.reduce(np.abs(gradient, out=scratch)) or 1.0))
        largest = float(np.maximum.reduce(np.abs(direction, out=scratch)))

        def move(length: float) -> None:
            np.multiply(direction, length, out=slots["step"])
            np.add(start, slots["step"], out=weights)

        def evaluate(length: float) -> Point:
            move(length)
            loss = ctx.reevaluate()
            return Point(length, loss, float(np.dot(gradient, direction)))

        try:
            if slope <= -self.tolerance_change:
                shortest = self.tolerance_change / largest
                length = strong_wolfe(evaluate, Point(0.0, ctx.loss, slope), first, shortest)
        finally:
            move(length)

    def _store_pair(self, gradient: Array, slots: Slots, scratch: Array) -> None:
        """Store the last step and its change of the gradient in the place of the oldest pair."""
        np.subtract(gradient, slots["last"], out=scratch)
        product = float(np.dot(scratch, slots["step"]))
        if product > MIN_CURVATURE:
            index = int(slots["pairs"][0]) % self.history_size
            np.copyto(self._history(slots["steps"])[index], slots["step"])
            np.copyto(self._history(slots["changes"])[index], scratch)
            slots["products"][index] = product
            slots["pairs"][0] += 1

    def _compute_direction(self, direction: Array, gradient: Array, slots: Slots, scratch: Array) -> None:
        """Compute `−H · g` by the two-loop recursion (Nocedal & Wright 2006, alg. 7.4); `H₀ = (s·y) / (y·y)`."""
        np.negative(gradient, out=direction)
        count = int(slots["pairs"][0])
        steps, changes, products = self._history(slots["steps"]), self._history(slots["changes"]), slots["products"]
        indices = [pair % self.history_size for pair in range(max(0, count - self.history_size), count)]
        alphas = dict.fromkeys(indices, 0.0)
        for index in reversed(indices):
            alphas[index] = float(np.dot(steps[index], direction) / products[index])
            direction -= np.multiply(changes[index], alphas[index], out=scratch)
        if indices:
            newest = changes[indices[-1]]
            direction *= products[indices[-1]] / np.dot(newest, newest)
        for index in indices:
            beta = alphas[index] - float(np.dot(changes[index], direction) / products[index])
            direction += np.multiply(steps[index], beta, out=scratch)

    def _history(self, slot: Array) -> Array:
        return slot.reshape(self.history_size, -1)


class Point(NamedTuple):
    """A step length, the loss there, and its slope along the direction."""

    length: float
    loss: float
    slope: float


Evaluate = Callable[[float], Point]


def strong_wolfe(evaluate: Evaluate, start: Point, first: float, shortest: float) -> float:
    """Return a length that meets the strong Wolfe conditions, or the best one found (Nocedal & Wright 2006, alg. 3.5).

    The length grows until two of them bracket a solution. A bracket shorter than `shortest` is not divided further.
    """
    before, point = start, evaluate(first)
    for count in range(MAX_EVALUATIONS):
        if _violates_decrease(point, start) or (count > 1 and point.loss >= before.loss):
            return _zoom(evaluate, start, (before, point), MAX_EVALUATIONS - count, shortest)
        if _meets_curvature(point, start):
            return point.length
        if point.slope >= 0:
            return _zoom(evaluate, start, (before, point), MAX_EVALUATIONS - count, shortest)
        bounds = point.length + 0.01 * (point.length - before.length), 10 * point.length
        before, point = point, evaluate(_cubic_minimum(before, point, bounds))
    return min(start, point, key=lambda end: end.loss).length


def _zoom(evaluate: Evaluate, start: Point, ends: tuple[Point, Point], evaluations: int, shortest: float) -> float:
    """Divide the bracket at the minimum of a cubic, away from its ends if that makes no progress (alg. 3.6)."""
    low, high = sorted(ends, key=lambda end: end.loss)
    stuck = False
    for _ in range(evaluations):
        near, far = sorted((low.length, high.length))
        if far - near < shortest:
            break
        length, margin = _cubic_minimum(low, high, (near, far)), 0.1 * (far - near)
        close = min(far - length, length - near) < margin
        if close and (stuck or length >= far or length <= near):
            length, close = (far - margin if far - length < length - near else near + margin), False
        stuck = close
        point = evaluate(length)
        if _violates_decrease(point, start) or point.loss >= low.loss:
            low, high = sorted((low, point), key=lambda end: end.loss)
            continue
        if _meets_curvature(point, start):
            return point.length
        if point.slope * (high.length - low.length) >= 0:
            high = low
        low = point
    return low.length


def _violates_decrease(point: Point, start: Point) -> bool:
    """Return whether the loss violates the sufficient decrease condition (eq. 3.7a)."""
    return point.loss > start.loss + SUFFICIENT_DECREASE * point.length * start.slope


def _meets_curvature(point: Point, start: Point) -> bool:
    """Return whether the slope meets the strong curvature condition (eq. 3.7b)."""
    return abs(point.slope) <= -CURVATURE * start.slope


def _cubic_minimum(first: Point, second: Point, bounds: tuple[float, float]) -> float:
    """Return the minimum of the cubic through both points with their slopes (eq. 3.59), clipped to the bounds.

    Without a minimum it is the middle of the bounds; for a straight line, the bound at its lower end.
    """
    (x, f, g), (x_2, f_2, g_2) = sorted((first, second))
    d = g + g_2 - 3 * (f - f_2) / (x - x_2)
    square = d * d - g * g_2
    if square < 0:
        return sum(bounds) / 2
    above, below = g_2 + math.sqrt(square) - d, g_2 - g + 2 * math.sqrt(square)
    fraction = above / below if below else math.copysign(math.inf, above)
    return min(max(x_2 - (x_2 - x) * fraction, bounds[0]), bounds[1])
