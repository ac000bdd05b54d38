"""Unrolling of recurrent layers over time: a loop over the steps, and one matrix product per weight gradient.

Inside, time is the first axis, so that what a step reads and writes is contiguous. A cell computes the transition from
one hidden state to the next; masks, dropout and the sums over all steps are here.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from core.nn.arrays import Array, Backward
from core.nn.plan import Views
from core.nn.step.context import PassContext


class RecurrentFields(Protocol):
    """The fields that unrolling reads of a recurrent layer."""

    @property
    def units(self) -> int:
        """The size of the hidden state."""

    @property
    def dropout(self) -> float:
        """The fraction of inputs set to zero in training."""

    @property
    def recurrent_dropout(self) -> float:
        """The fraction of the hidden state set to zero before products, in training."""

    @property
    def return_sequences(self) -> bool:
        """Whether the hidden state of each step is returned."""

    @property
    def go_backwards(self) -> bool:
        """Whether the steps are processed in reverse."""


class Cell(Protocol):
    """The transition of one step, from `state[t]` of the unrolling to `state[t + 1]`."""

    carried: list[tuple[Array, Array]]
    """The arrays carried from step to step, `(steps + 1, batch, units)`, the hidden state first, each with its gradient
    `(batch, units)`, which the backward pass carries."""

    def forward(self, t: int) -> None:
        """Write `state[t + 1]`; before, `gates` of step t hold `x·W + b`, after, whatever the cell keeps there."""

    def backward(self, t: int) -> None:
        """Write `deltas` of step t, the gradient of `x·W + b`, and turn carried gradients into those of step t."""

    def write_weight_gradients(self, views: Views) -> None:
        """Write the gradients of all weights, from all steps at once."""


class Unrolling:
    """The arrays of all steps of one pass; `gates` is the number of blocks of units in the kernel.

    `recurrent_input` is the hidden state as it enters the products, after dropout: `(steps, batch, units)`.
    """

    state: Array
    recurrent_input: Array

    def __init__(self, layer: RecurrentFields, gates: int, x: Array, views: Views, ctx: PassContext) -> None:
        batch, self.steps, inputs = x.shape
        self.layer, self.views, self.ctx, self.units, self.batch = layer, views, ctx, layer.units, batch
        self.direction = -1 if layer.go_backwards else 1
        self.x = self._allocate_inputs(inputs)
        np.copyto(self.x, x.transpose(1, 0, 2)[:: self.direction])
        self.input_scale = self._dropout_scale(layer.dropout, inputs)
        if self.input_scale is not None:
            self.x *= self.input_scale
        self.gates = self._allocate_gates(gates)
        self.deltas = self._allocate_gates(gates)
        self.state_scale = self._dropout_scale(layer.recurrent_dropout, layer.units)
        self._transposed_kernel: Array | None = None
        self._begin()

    def _allocate_inputs(self, inputs: int) -> Array:
        return self.ctx.empty((self.steps, self.batch, inputs))

    def _allocate_gates(self, gates: int) -> Array:
        """Return an array for all gates of all steps: `(steps, batch, gates · units)`."""
        array: Array = self.ctx.empty((self.steps, self.batch, gates * self.units))
        return array

    def _begin(self) -> None:
        """Compute the products of the inputs of all steps at once, and set the first state to zero."""
        np.dot(merge_steps(self.x), self.views.weights["kernel"], out=merge_steps(self.gates))
        self.state = self.zero_states()
        shape = (self.steps, self.batch, self.units)
        self.recurrent_input = self.state[:-1] if self.state_scale is None else self.ctx.empty(shape)

    def zero_states(self) -> Array:
        """Return an array `(steps + 1, batch, units)` for the states before and after each step, the first zero."""
        states: Array = self.ctx.empty((self.steps + 1, self.batch, self.units))
        states[0].fill(0)
        return states

    def empty(self, blocks: int = 1, *, per_step: bool = False) -> Array:
        """Return an array for this number of blocks of units, of one step or of each."""
        shape = (self.batch, blocks * self.units)
        array: Array = self.ctx.empty((self.steps, *shape) if per_step else shape)
        return array

    def dropped_state(self, t: int) -> Array:
        """Return the hidden state before step t as it enters the products, after dropout."""
        dropped = self.recurrent_input[t]
        return dropped if self.state_scale is None else np.multiply(self.state[t], self.state_scale, out=dropped)

    def state_gradient(self, delta: Array, kernel: Array, out: Array) -> Array:
        """Write the gradient of the hidden state from that of its product with the kernel, the same at all steps.

        The kernel is transposed once: transposing it at each step took BLAS a third of the product's time.
        """
        if self._transposed_kernel is None:
            self._transposed_kernel = self.ctx.empty(kernel.shape[::-1])
            np.copyto(self._transposed_kernel, kernel.T)
        np.matmul(delta, self._transposed_kernel, out=out)
        return self._scale_state_gradient(out)

    def _scale_state_gradient(self, gradient: Array) -> Array:
        scale = self.state_scale
        return gradient if scale is None else np.multiply(gradient, scale, out=gradient)

    def forward(self, cell: Cell) -> tuple[Array, Backward]:
        """Run all steps in order; at a masked step everything carried keeps its value."""
        masked = self._masked_steps()
        for t in range(self.steps):
            cell.forward(t)
            if masked is not None:
                for states, _ in cell.carried:
                    np.copyto(states[t + 1], states[t], where=masked[t])
        if self.layer.return_sequences:
            y: Array = self.ctx.empty((self.batch, self.steps, self.units))
            np.copyto(y, self.state[1:].transpose(1, 0, 2))
        else:
            y = self.ctx.empty((self.batch, self.units))
            np.copyto(y, self.state[-1])
        return y, lambda d_y: self._backward(cell, d_y, masked)

    def _backward(self, cell: Cell, d_y: Array, masked: Any) -> Array:
        """Run all steps in reverse; at a masked step the carried gradients keep their value."""
        d_state = cell.carried[0][1]
        for _, gradient in cell.carried:
            gradient.fill(0)
        if not self.layer.return_sequences:
            np.copyto(d_state, d_y)
        bypassed = [self.empty() for _ in cell.carried] if masked is not None else []
        for t in reversed(range(self.steps)):
            if self.layer.return_sequences:
                d_state += d_y[:, t]
            for (_, gradient), kept in zip(cell.carried, bypassed, strict=False):
                np.multiply(gradient, masked[t], out=kept)
                gradient -= kept
            cell.backward(t)
            for (_, gradient), kept in zip(cell.carried, bypassed, strict=False):
                gradient += kept
        if self.views.trainable:
            cell.write_weight_gradients(self.views)
        return self._input_gradient() if self.views.input_gradient else d_y

    def _input_gradient(self) -> Array:
        """Return `∂x = δ·Wᵀ`, with the batch as the first axis again."""
        by_time: Array = self.ctx.empty(self.x.shape)
        self._write_input_gradient(merge_steps(by_time))
        if self.input_scale is not None:
            by_time *= self.input_scale
        d_x: Array = self.ctx.empty((self.batch, *by_time.shape[::2]))
        np.copyto(d_x, by_time[:: self.direction].transpose(1, 0, 2))
        return d_x

    def _write_input_gradient(self, out: Array) -> None:
        np.dot(merge_steps(self.deltas), self.views.weights["kernel"].T, out=out)

    def _masked_steps(self) -> Any:
        """Return where a step is masked, `(steps, batch, 1)`; None: nowhere."""
        if self.ctx.mask is None:
            return None
        masked = self.ctx.empty((self.steps, self.batch, 1), np.bool_)
        return np.logical_not(self.ctx.mask.T[:: self.direction, :, None], out=masked)

    def _dropout_scale(self, rate: float, width: int) -> Array | None:
        """Draw 0 or `1 / (1 − rate)` for each number of a row, the same at all steps (Gal & Ghahramani 2016, eq. 7)."""
        ctx = self.ctx
        if ctx.rng is None or not ctx.training or not rate:
            return None
        scale: Array = ctx.empty((self.batch, width))
        ctx.rng.random(out=scale, dtype=scale.dtype.type)
        np.greater_equal(scale, rate, out=scale)
        scale /= 1 - rate
        return scale


class ConcatenatedUnrolling(Unrolling):
    """An unrolling for cells that only need `x·W + h·U + b`: one product per gate of `[x, h, 1]` with `[W; U; b]`.

    The hidden state is written directly into `[x, h, 1]`, and the weight gradients of a gate are one product over all
    steps. Gates and deltas are `(gates, steps, batch, units)`, and the weights are stored by gate as well: elementwise
    work on a contiguous block takes a third of the time that it takes on a part of each row, and BLAS takes less for
    four narrow products than for a wide one.
    """

    def _allocate_inputs(self, inputs: int) -> Array:
        constant = "bias" in self.views.weights
        self.concatenated: Array = self.ctx.empty((self.steps + 1, self.batch, inputs + self.units + constant))
        if constant:
            self.concatenated[..., -1] = 1
        self.state_columns = slice(inputs, inputs + self.units)
        return self.concatenated[:-1, :, :inputs]

    def _allocate_gates(self, gates: int) -> Array:
        array: Array = self.ctx.empty((gates, self.steps, self.batch, self.units))
        return array

    def _split_gates(self, array: Array) -> list[Array]:
        """Return the columns of each gate of a weight or its gradient, a bias as a row."""
        return np.split(np.atleast_2d(array), len(self.gates), axis=1)

    def _begin(self) -> None:
        self.weights: Array = self.ctx.empty((len(self.gates), self.concatenated.shape[-1], self.units))
        for out, *parts in zip(self.weights, *map(self._split_gates, self.views.weights.values()), strict=True):
            np.concatenate(parts, out=out)
        self.recurrent_input = self.concatenated[:-1, :, self.state_columns]
        if self.state_scale is None:
            self.state = self.concatenated[:, :, self.state_columns]
            self.state[0].fill(0)
        else:
            self.state = self.zero_states()

    def pre_activations(self, t: int) -> Array:
        """Write `xₜ·W + hₜ₋₁·U + b` to the gates of step t and return them: `(gates, batch, units)`."""
        self.dropped_state(t)
        gates = self.gates[:, t]
        for weights, gate in zip(self.weights, gates, strict=True):
            np.dot(self.concatenated[t], weights, out=gate)
        return gates

    def state_gradient(self, delta: Array, kernel: Array, out: Array) -> Array:
        """Do the same for a delta `(gates, batch, units)`."""
        if self._transposed_kernel is None:
            self._transposed_kernel = self.ctx.empty((len(self.gates), self.units, self.units))
            self._products = self.ctx.empty(delta.shape)
            for transposed, columns in zip(self._transposed_kernel, self._split_gates(kernel), strict=True):
                np.copyto(transposed, columns.T)
        np.add.reduce(np.matmul(delta, self._transposed_kernel, out=self._products), axis=0, out=out)
        return self._scale_state_gradient(out)

    def _write_input_gradient(self, out: Array) -> None:
        first, *others = (
            (merge_steps(delta), columns.T)
            for delta, columns in zip(self.deltas, self._split_gates(self.views.weights["kernel"]), strict=True)
        )
        np.matmul(*first, out=out)
        part = self.ctx.empty(out.shape)
        for delta, columns in others:
            out += np.matmul(delta, columns, out=part)

    def write_weight_gradients(self, views: Views) -> None:
        """Write `∂W = Σ xₜᵀ·δₜ`, `∂U = Σ hₜ₋₁ᵀ·δₜ`, `∂b = Σ δₜ`."""
        gradient = self.ctx.empty(self.weights.shape[1:])
        for delta, *targets in zip(self.deltas, *map(self._split_gates, views.gradients.values()), strict=True):
            np.dot(merge_steps(self.concatenated[:-1]).T, merge_steps(delta), out=gradient)
            start = 0
            for target in targets:
                np.copyto(target, gradient[start : start + len(target)])
                start += len(target)


def merge_steps(array: Array) -> Array:
    """Return the rows of all steps as one matrix: `(steps · batch, width)`."""
    return array.reshape(-1, array.shape[-1])
