"""An optimizer that learns how the loss curves, and looks along each direction for how far to go."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Literal, NamedTuple

import numpy as np
from annotated_types import Ge, Gt, Le

from core.nn.arrays import Array, size
from core.nn.optimizers.base import BaseOptimizer
from core.nn.optimizers.slots import Slot, Slots, Starts
from core.nn.schedules import ConstantRate, Schedule
from core.nn.step.context import PassContext

DESCENT = 1e-4
"""What share of the slope's promise the loss has to keep (Nocedal & Wright 2006, c₁)."""
CURVATURE = 0.9
"""What share of the slope may be left (Nocedal & Wright 2006, c₂)."""
LOOKS = 25
"""How many lengths are tried at most beside the first."""
LEAST_CURVATURE = 1e-10
"""A pair whose product is not more says nothing of how the loss curves."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Lbfgs(BaseOptimizer):
    """Newton's steps by the curvature that the last steps have shown (Nocedal & Wright 2006, alg. 7.4 and 7.5).

    Along each direction the loss is looked at until the step's length meets the strong Wolfe conditions (alg. 3.5 and
    3.6): as a rule a step takes two passes on the batch, and 27 at most. It is for whole batches, since one batch
    shows nothing of how another's loss curves, and for nets without chance. No other optimizer stands around it.
    """

    type: Literal["lbfgs"] = "lbfgs"
    learning_rate: Schedule = field(default=ConstantRate(learning_rate=1.0))
    """The length that is tried first, in Newton's steps: a number or a schedule."""
    history_size: Annotated[int, Ge(1), Le(1000)] = 10
    """How many steps are remembered."""
    tolerance_change: Annotated[float, Gt(0)] = 1e-9
    """No step is taken where the slope is less, and no length is looked for more closely."""

    @property
    def full_batch(self) -> bool:
        """Each batch must contain all training rows: the curvature of one batch says nothing of another."""
        return True

    @property
    def passes(self) -> int:
        """Two on average: the line search evaluates the loss at least once more."""
        return 2

    def slots(self) -> Starts:
        """The last steps and the changes of the gradient along them, the last gradient, and how many there were."""
        history = Slot(0.0, lambda shapes: self.history_size * sum(map(size, shapes)))
        one, each = Slot(0.0, lambda _: 1), Slot(0.0, lambda _: self.history_size)
        return {"last": 0.0, "step": 0.0, "steps": history, "changes": history, "products": each, "pairs": one}

    def update(self, weights: Array, gradient: Array, slots: Slots, step: int, rate: float, ctx: PassContext) -> None:
        """`w ← w + t · d`, `d = −H · g`, H from the last pairs of `s = t · d` and `y = g − g before`."""
        start, along, spare = (ctx.empty(weights.shape) for _ in range(3))
        if step:
            self._remember(gradient, slots, spare)
        self._direct(along, gradient, slots, spare)
        np.copyto(slots["last"], gradient)
        np.copyto(start, weights)
        length, slope = 0.0, float(np.dot(gradient, along))
        first = rate if step else rate * min(1.0, 1 / float(np.add.reduce(np.abs(gradient, out=spare)) or 1.0))
        widest = float(np.maximum.reduce(np.abs(along, out=spare)))

        def move(length: float) -> None:
            np.multiply(along, length, out=slots["step"])
            np.add(start, slots["step"], out=weights)

        def look(length: float) -> Point:
            move(length)
            loss = ctx.reevaluate()
            return Point(length, loss, float(np.dot(gradient, along)))

        try:
            if slope <= -self.tolerance_change:
                shortest = self.tolerance_change / widest
                length = strong_wolfe(look, Point(0.0, ctx.loss, slope), first, shortest)
        finally:
            move(length)

    def _remember(self, gradient: Array, slots: Slots, spare: Array) -> None:
        """The last step and what it did to the gradient, in the place of the oldest pair."""
        np.subtract(gradient, slots["last"], out=spare)
        product = float(np.dot(spare, slots["step"]))
        if product > LEAST_CURVATURE:
            place = int(slots["pairs"][0]) % self.history_size
            np.copyto(self._history(slots["steps"])[place], slots["step"])
            np.copyto(self._history(slots["changes"])[place], spare)
            slots["products"][place] = product
            slots["pairs"][0] += 1

    def _direct(self, along: Array, gradient: Array, slots: Slots, spare: Array) -> None:
        """The loop of two passes over the pairs (Nocedal & Wright 2006, alg. 7.4), from `H = (s · y) / (y · y)`."""
        np.negative(gradient, out=along)
        count = int(slots["pairs"][0])
        steps, changes, products = self._history(slots["steps"]), self._history(slots["changes"]), slots["products"]
        places = [turn % self.history_size for turn in range(max(0, count - self.history_size), count)]
        shares = dict.fromkeys(places, 0.0)
        for place in reversed(places):
            shares[place] = float(np.dot(steps[place], along) / products[place])
            along -= np.multiply(changes[place], shares[place], out=spare)
        if places:
            newest = changes[places[-1]]
            along *= products[places[-1]] / np.dot(newest, newest)
        for place in places:
            share = shares[place] - float(np.dot(changes[place], along) / products[place])
            along += np.multiply(steps[place], share, out=spare)

    def _history(self, slot: Array) -> Array:
        return slot.reshape(self.history_size, -1)


class Point(NamedTuple):
    """What is seen at one length of a step: the loss there, and its slope along the step."""

    length: float
    loss: float
    slope: float


StepInspection = Callable[[float], Point]


def strong_wolfe(look: StepInspection, start: Point, first: float, shortest: float) -> float:
    """A length that meets both conditions, or the best that was seen (Nocedal & Wright 2006, alg. 3.5).

    The lengths grow until they are known to bracket one; a bracket shorter than `shortest` is not cut any more.
    """
    before, point = start, look(first)
    for turn in range(LOOKS):
        if _too_high(point, start) or (turn > 1 and point.loss >= before.loss):
            return _zoom(look, start, (before, point), LOOKS - turn, shortest)
        if _flat(point, start):
            return point.length
        if point.slope >= 0:
            return _zoom(look, start, (before, point), LOOKS - turn, shortest)
        bounds = point.length + 0.01 * (point.length - before.length), 10 * point.length
        before, point = point, look(_least_of_cubic(before, point, bounds))
    return min(start, point, key=lambda one: one.loss).length


def _zoom(look: StepInspection, start: Point, ends: tuple[Point, Point], looks: int, shortest: float) -> float:
    """Cut the bracket at the least of a cubic, off its ends where that gets nowhere (alg. 3.6)."""
    low, high = sorted(ends, key=lambda one: one.loss)
    stuck = False
    for _ in range(looks):
        near, far = sorted((low.length, high.length))
        if far - near < shortest:
            break
        length, margin = _least_of_cubic(low, high, (near, far)), 0.1 * (far - near)
        close = min(far - length, length - near) < margin
        if close and (stuck or length >= far or length <= near):
            length, close = (far - margin if far - length < length - near else near + margin), False
        stuck = close
        point = look(length)
        if _too_high(point, start) or point.loss >= low.loss:
            low, high = sorted((low, point), key=lambda one: one.loss)
            continue
        if _flat(point, start):
            return point.length
        if point.slope * (high.length - low.length) >= 0:
            high = low
        low = point
    return low.length


def _too_high(point: Point, start: Point) -> bool:
    return point.loss > start.loss + DESCENT * point.length * start.slope


def _flat(point: Point, start: Point) -> bool:
    return abs(point.slope) <= -CURVATURE * start.slope


def _least_of_cubic(one: Point, other: Point, bounds: tuple[float, float]) -> float:
    """Where the cubic through both points, with their slopes, is least (eq. 3.59); the middle where it is nowhere.

    Where it is a straight line, that is the end of the bounds to which it falls.
    """
    (x, f, g), (x_2, f_2, g_2) = sorted((one, other))
    d = g + g_2 - 3 * (f - f_2) / (x - x_2)
    square = d * d - g * g_2
    if square < 0:
        return sum(bounds) / 2
    above, below = g_2 + math.sqrt(square) - d, g_2 - g + 2 * math.sqrt(square)
    share = above / below if below else math.copysign(math.inf, above)
    return min(max(x_2 - (x_2 - x) * share, bounds[0]), bounds[1])
