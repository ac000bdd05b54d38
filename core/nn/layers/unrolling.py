"""A recurrence, unrolled: a loop over time, and one product for each gradient.

Inside, time is the first axis, so that what a step reads and writes lies in one piece. How a step goes from one state
to the next is a cell's affair; what all of them share is here: masks, dropout, and what is summed over all steps.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from core.nn.arrays import Array, Backward
from core.nn.plan import Views
from core.nn.step.context import PassContext


class Layer(Protocol):
    """What the recurrent layers have in common."""

    @property
    def units(self) -> int:
        """How long the state is."""

    @property
    def dropout(self) -> float:
        """The share of the inputs that is left out while training."""

    @property
    def recurrent_dropout(self) -> float:
        """The share of the state that is left out on its way into the products while training."""

    @property
    def return_sequences(self) -> bool:
        """Whether it emits its state after every step."""

    @property
    def go_backwards(self) -> bool:
        """Whether it begins with the last step."""


class Cell(Protocol):
    """One step of a recurrence, from the tape's `state[t]` to `state[t + 1]`."""

    carried: list[tuple[Array, Array]]
    """All that goes from step to step `(steps + 1, batch, units)`, the state first, and the gradient of each
    `(batch, units)`, which the way back carries along."""

    def forward(self, t: int) -> None:
        """Write `state[t + 1]`; the tape's gates of step t are `x·W + b` before and may be anything after."""

    def backward(self, t: int) -> None:
        """Write the tape's deltas of step t, the gradient of `x·W + b`, and turn what is carried into step t's."""

    def weigh(self, views: Views) -> None:
        """Write the gradients of the recurrent weights, from all steps at once."""


class Tape:
    """What all steps read and write, for one pass; `gates` is the number of blocks of units in the kernel.

    `fed` is the state as it enters the products, `(steps, batch, units)`.
    """

    state: Array
    fed: Array

    def __init__(self, layer: Layer, gates: int, x: Array, views: Views, ctx: PassContext) -> None:
        batch, self.steps, inputs = x.shape
        self.layer, self.views, self.ctx, self.units, self.batch = layer, views, ctx, layer.units, batch
        self.turn = -1 if layer.go_backwards else 1
        self.x = self._lay(inputs)
        np.copyto(self.x, x.transpose(1, 0, 2)[:: self.turn])
        self.input_scale = self._dropped(layer.dropout, inputs)
        if self.input_scale is not None:
            self.x *= self.input_scale
        self.gates = self._of_gates(gates)
        self.deltas = self._of_gates(gates)
        self.state_scale = self._dropped(layer.recurrent_dropout, layer.units)
        self._turned: Array | None = None
        self._begin()

    def _lay(self, inputs: int) -> Array:
        """Where the inputs of all steps go."""
        return self.ctx.empty((self.steps, self.batch, inputs))

    def _of_gates(self, gates: int) -> Array:
        """Memory for all gates of all steps: `(steps, batch, gates · units)`."""
        made: Array = self.ctx.empty((self.steps, self.batch, gates * self.units))
        return made

    def _begin(self) -> None:
        """The products of the inputs of all steps at once, and a state that is zero."""
        np.dot(flat(self.x), self.views.weights["kernel"], out=flat(self.gates))
        self.state = self.zeros()
        shape = (self.steps, self.batch, self.units)
        self.fed = self.state[:-1] if self.state_scale is None else self.ctx.empty(shape)

    def zeros(self) -> Array:
        """A state for each step and one before the first, which is zero: `(steps + 1, batch, units)`."""
        states: Array = self.ctx.empty((self.steps + 1, self.batch, self.units))
        states[0].fill(0)
        return states

    def empty(self, blocks: int = 1, *, each: bool = False) -> Array:
        """Memory for some blocks of units, of one step or of each."""
        shape = (self.batch, blocks * self.units)
        made: Array = self.ctx.empty((self.steps, *shape) if each else shape)
        return made

    def feed(self, t: int) -> Array:
        """The state before step t as it enters the products."""
        fed = self.fed[t]
        return fed if self.state_scale is None else np.multiply(self.state[t], self.state_scale, out=fed)

    def fed_back(self, delta: Array, kernel: Array, out: Array) -> Array:
        """The gradient of the state from that of its product with the kernel, the same at all steps.

        The kernel is turned once: to turn it at each step took BLAS a third of the product's time.
        """
        if self._turned is None:
            self._turned = self.ctx.empty(kernel.shape[::-1])
            np.copyto(self._turned, kernel.T)
        np.matmul(delta, self._turned, out=out)
        return self._scaled(out)

    def _scaled(self, gradient: Array) -> Array:
        scale = self.state_scale
        return gradient if scale is None else np.multiply(gradient, scale, out=gradient)

    def forward(self, cell: Cell) -> tuple[Array, Backward]:
        """All steps in order; where one is not there, all that is carried stays as it was."""
        absent = self._absent()
        for t in range(self.steps):
            cell.forward(t)
            if absent is not None:
                for states, _ in cell.carried:
                    np.copyto(states[t + 1], states[t], where=absent[t])
        if self.layer.return_sequences:
            y: Array = self.ctx.empty((self.batch, self.steps, self.units))
            np.copyto(y, self.state[1:].transpose(1, 0, 2))
        else:
            y = self.ctx.empty((self.batch, self.units))
            np.copyto(y, self.state[-1])
        return y, lambda d_y: self._backward(cell, d_y, absent)

    def _backward(self, cell: Cell, d_y: Array, absent: Any) -> Array:
        """All steps in reverse; the gradient of what was carried past a step goes past it too."""
        d_state = cell.carried[0][1]
        for _, gradient in cell.carried:
            gradient.fill(0)
        if not self.layer.return_sequences:
            np.copyto(d_state, d_y)
        kept = [self.empty() for _ in cell.carried] if absent is not None else []
        for t in reversed(range(self.steps)):
            if self.layer.return_sequences:
                d_state += d_y[:, t]
            for (_, gradient), past in zip(cell.carried, kept, strict=False):
                np.multiply(gradient, absent[t], out=past)
                gradient -= past
            cell.backward(t)
            for (_, gradient), past in zip(cell.carried, kept, strict=False):
                gradient += past
        if self.views.trainable:
            cell.weigh(self.views)
        return self._input_gradient() if self.views.input_gradient else d_y

    def _input_gradient(self) -> Array:
        """`∂x = δ·Wᵀ`, with the batch first again."""
        by_time: Array = self.ctx.empty(self.x.shape)
        self._fed_to_inputs(flat(by_time))
        if self.input_scale is not None:
            by_time *= self.input_scale
        d_x: Array = self.ctx.empty((self.batch, *by_time.shape[::2]))
        np.copyto(d_x, by_time[:: self.turn].transpose(1, 0, 2))
        return d_x

    def _fed_to_inputs(self, out: Array) -> None:
        np.dot(flat(self.deltas), self.views.weights["kernel"].T, out=out)

    def _absent(self) -> Any:
        """Where a step is not there, `(steps, batch, 1)`; None: nowhere."""
        if self.ctx.mask is None:
            return None
        absent = self.ctx.empty((self.steps, self.batch, 1), np.bool_)
        return np.logical_not(self.ctx.mask.T[:: self.turn, :, None], out=absent)

    def _dropped(self, rate: float, width: int) -> Array | None:
        """0 or `1 / (1 − rate)` for each number of a row, the same at all steps (Gal & Ghahramani 2016, eq. 7)."""
        ctx = self.ctx
        if ctx.rng is None or not ctx.training or not rate:
            return None
        scale: Array = ctx.empty((self.batch, width))
        ctx.rng.random(out=scale, dtype=scale.dtype.type)
        np.greater_equal(scale, rate, out=scale)
        scale /= 1 - rate
        return scale


class JoinedTape(Tape):
    """For cells that only ever need `x·W + h·U + b`: inputs, state and a one beside each other, and a product a gate.

    It is written where the gates are, and the gradients of a gate's weights are one product over all steps. Gates and
    deltas are `(gates, steps, batch, units)`, and the weights lie by gates as well: what is done with a block takes a
    third of the time that it takes with a stretch of each row, and BLAS less for four narrow products than for a wide.
    """

    def _lay(self, inputs: int) -> Array:
        constant = "bias" in self.views.weights
        self.joined: Array = self.ctx.empty((self.steps + 1, self.batch, inputs + self.units + constant))
        if constant:
            self.joined[..., -1] = 1
        self.places = slice(inputs, inputs + self.units)
        return self.joined[:-1, :, :inputs]

    def _of_gates(self, gates: int) -> Array:
        made: Array = self.ctx.empty((gates, self.steps, self.batch, self.units))
        return made

    def _columns(self, array: Array) -> list[Array]:
        """Each gate's of a weight or its gradient, a bias as a row."""
        return np.split(np.atleast_2d(array), len(self.gates), axis=1)

    def _begin(self) -> None:
        self.weights: Array = self.ctx.empty((len(self.gates), self.joined.shape[-1], self.units))
        for out, *parts in zip(self.weights, *map(self._columns, self.views.weights.values()), strict=True):
            np.concatenate(parts, out=out)
        self.fed = self.joined[:-1, :, self.places]
        if self.state_scale is None:
            self.state = self.joined[:, :, self.places]
            self.state[0].fill(0)
        else:
            self.state = self.zeros()

    def sums(self, t: int) -> Array:
        """`xₜ·W + hₜ₋₁·U + b`, into the gates of step t: `(gates, batch, units)`."""
        self.feed(t)
        sums = self.gates[:, t]
        for weights, gate in zip(self.weights, sums, strict=True):
            np.dot(self.joined[t], weights, out=gate)
        return sums

    def fed_back(self, delta: Array, kernel: Array, out: Array) -> Array:
        """As for any tape, of a delta `(gates, batch, units)`."""
        if self._turned is None:
            self._turned = self.ctx.empty((len(self.gates), self.units, self.units))
            self._parts = self.ctx.empty(delta.shape)
            for turned, columns in zip(self._turned, self._columns(kernel), strict=True):
                np.copyto(turned, columns.T)
        np.add.reduce(np.matmul(delta, self._turned, out=self._parts), axis=0, out=out)
        return self._scaled(out)

    def _fed_to_inputs(self, out: Array) -> None:
        first, *others = (
            (flat(delta), columns.T)
            for delta, columns in zip(self.deltas, self._columns(self.views.weights["kernel"]), strict=True)
        )
        np.matmul(*first, out=out)
        part = self.ctx.empty(out.shape)
        for delta, columns in others:
            out += np.matmul(delta, columns, out=part)

    def weigh(self, views: Views) -> None:
        """`∂W = Σ xₜᵀ·δₜ`, `∂U = Σ hₜ₋₁ᵀ·δₜ`, `∂b = Σ δₜ`."""
        slopes = self.ctx.empty(self.weights.shape[1:])
        for delta, *columns in zip(self.deltas, *map(self._columns, views.gradients.values()), strict=True):
            np.dot(flat(self.joined[:-1]).T, flat(delta), out=slopes)
            start = 0
            for slope in columns:
                np.copyto(slope, slopes[start : start + len(slope)])
                start += len(slope)


def flat(array: Array) -> Array:
    """All steps of all rows under one another: `(steps · batch, width)`."""
    return array.reshape(-1, array.shape[-1])
