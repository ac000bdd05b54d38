"""One step of each recurrent layer, there and back, as its paper has it."""

from __future__ import annotations

import numpy as np

from core.nn.activations import Activation
from core.nn.arrays import Backward
from core.nn.layers.unrolling import Tape, flat
from core.nn.plan import Views
from core.nn.sums import over_rows


class SimpleCell:
    """`hₜ = f(xₜ·W + hₜ₋₁·U + b)` (Elman 1990)."""

    def __init__(self, tape: Tape, activation: Activation) -> None:
        self.tape, self.activation = tape, activation
        self.kernel, self.bias = tape.views.weights["recurrent_kernel"], tape.views.weights.get("bias")
        self.d_state, self.product = tape.empty(), tape.empty()
        self.carried = [(tape.state, self.d_state)]
        self.backs: list[Backward] = []
        if self.bias is not None:
            np.add(tape.gates, self.bias, out=tape.gates)

    def forward(self, t: int) -> None:
        """As its equation has it."""
        tape, z = self.tape, self.tape.gates[t]
        z += np.dot(tape.feed(t), self.kernel, out=self.product)
        self.backs.append(self.activation.forward(z, tape.state[t + 1], tape.run))

    def backward(self, t: int) -> None:
        """`δ = ∂h · f'`, `∂hₜ₋₁ = δ·Uᵀ`."""
        delta = self.tape.deltas[t]
        np.copyto(delta, self.d_state)
        self.backs[t](delta)
        self.tape.fed_back(delta, self.kernel, self.d_state)

    def weigh(self, views: Views) -> None:
        """`∂U = Σ hₜ₋₁ᵀ·δₜ`, `∂b = Σ δₜ`."""
        _weigh(self.tape, views)


class LstmCell:
    """`(i, f, o) = σ(…)`, `g = φ(…)` of `xₜ·W + hₜ₋₁·U + b`; `cₜ = f·cₜ₋₁ + i·g`, `hₜ = o·φ(cₜ)`."""

    def __init__(self, tape: Tape, activation: Activation, recurrent_activation: Activation) -> None:
        self.tape, self.activation, self.recurrent_activation = tape, activation, recurrent_activation
        self.kernel = tape.views.weights["recurrent_kernel"]
        self.d_state, self.d_cell, self.product, self.share = tape.empty(), tape.empty(), tape.empty(4), tape.empty()
        self.cell, self.bent = tape.zeros(), tape.empty(each=True)
        self.carried = [(tape.state, self.d_state), (self.cell, self.d_cell)]
        self.backs: list[tuple[Backward, Backward, Backward, Backward]] = []
        if "bias" in tape.views.weights:
            np.add(tape.gates, tape.views.weights["bias"], out=tape.gates)

    def forward(self, t: int) -> None:
        """As its equations have it; i and f stand beside each other, so that one σ serves both."""
        tape, units, run = self.tape, self.tape.units, self.tape.run
        z, cell = tape.gates[t], self.cell[t + 1]
        z += np.dot(tape.feed(t), self.kernel, out=self.product)
        both, g, o = z[:, : 2 * units], z[:, 2 * units : 3 * units], z[:, 3 * units :]
        back_both = self.recurrent_activation.forward(both, both, run)
        back_g = self.activation.forward(g, g, run)
        back_o = self.recurrent_activation.forward(o, o, run)
        np.multiply(both[:, units:], self.cell[t], out=cell)
        cell += np.multiply(both[:, :units], g, out=self.share)
        back_cell = self.activation.forward(cell, self.bent[t], run)
        np.multiply(o, self.bent[t], out=tape.state[t + 1])
        self.backs.append((back_both, back_g, back_o, back_cell))

    def backward(self, t: int) -> None:
        """`∂c += ∂h·o·φ'(c)`, then `∂i = ∂c·g`, `∂f = ∂c·cₜ₋₁`, `∂g = ∂c·i`, `∂o = ∂h·φ(c)`, `∂cₜ₋₁ = ∂c·f`."""
        units, z, delta = self.tape.units, self.tape.gates[t], self.tape.deltas[t]
        back_both, back_g, back_o, back_cell = self.backs[t]
        d_i, d_f, d_g, d_o = (delta[:, n * units : (n + 1) * units] for n in range(4))
        np.multiply(self.d_state, self.bent[t], out=d_o)
        self.d_state *= z[:, 3 * units :]
        self.d_cell += back_cell(self.d_state)
        np.multiply(self.d_cell, z[:, 2 * units : 3 * units], out=d_i)
        np.multiply(self.d_cell, self.cell[t], out=d_f)
        np.multiply(self.d_cell, z[:, :units], out=d_g)
        self.d_cell *= z[:, units : 2 * units]
        back_both(delta[:, : 2 * units])
        back_g(d_g)
        back_o(d_o)
        self.tape.fed_back(delta, self.kernel, self.d_state)

    def weigh(self, views: Views) -> None:
        """`∂U = Σ hₜ₋₁ᵀ·δₜ`, `∂b = Σ δₜ`."""
        _weigh(self.tape, views)


class GruCell:
    """`z = σ(…)`, `r = σ(…)`, `g = φ(xₜ·W + b + r · (hₜ₋₁·U + b'))`, `hₜ = z · hₜ₋₁ + (1 − z) · g`."""

    def __init__(self, tape: Tape, activation: Activation, recurrent_activation: Activation) -> None:
        self.tape, self.activation, self.recurrent_activation = tape, activation, recurrent_activation
        self.kernel, self.bias = tape.views.weights["recurrent_kernel"], None
        self.d_state, self.share, self.products = tape.empty(), tape.empty(), tape.empty(3, each=True)
        self.carried = [(tape.state, self.d_state)]
        self.backs: list[tuple[Backward, Backward]] = []
        if "bias" in tape.views.weights:
            first, self.bias = tape.views.weights["bias"]
            np.add(tape.gates, first, out=tape.gates)

    def forward(self, t: int) -> None:
        """As its equations have it; z and r stand beside each other, so that one σ serves both."""
        tape, units, run = self.tape, self.tape.units, self.tape.run
        product = np.dot(tape.feed(t), self.kernel, out=self.products[t])
        if self.bias is not None:
            product += self.bias
        both, g = tape.gates[t][:, : 2 * units], tape.gates[t][:, 2 * units :]
        both += product[:, : 2 * units]
        back_both = self.recurrent_activation.forward(both, both, run)
        g += np.multiply(both[:, units:], product[:, 2 * units :], out=self.share)
        back_g = self.activation.forward(g, g, run)
        state = np.subtract(tape.state[t], g, out=tape.state[t + 1])
        state *= both[:, :units]
        state += g
        self.backs.append((back_both, back_g))

    def backward(self, t: int) -> None:
        """`∂z = ∂h · (hₜ₋₁ − g)`, `∂g = ∂h · (1 − z)`, `∂r = δg · (hₜ₋₁·U + b')`, and z of ∂h goes past all of it."""
        tape, units = self.tape, self.tape.units
        gates, delta, product = tape.gates[t], tape.deltas[t], self.products[t]
        z, r, g = (gates[:, n * units : (n + 1) * units] for n in range(3))
        d_z, d_r, d_g = (delta[:, n * units : (n + 1) * units] for n in range(3))
        back_both, back_g = self.backs[t]
        np.subtract(tape.state[t], g, out=d_z)
        d_z *= self.d_state
        past = np.multiply(self.d_state, z, out=self.share)
        back_g(np.subtract(self.d_state, past, out=d_g))
        np.multiply(d_g, product[:, 2 * units :], out=d_r)
        np.copyto(product[:, : 2 * units], back_both(delta[:, : 2 * units]))
        np.multiply(d_g, r, out=product[:, 2 * units :])
        tape.fed_back(product, self.kernel, self.d_state)
        self.d_state += past

    def weigh(self, views: Views) -> None:
        """`∂U = Σ hₜ₋₁ᵀ·δ'ₜ` and `∂b' = Σ δ'ₜ`, where δ' is δ with its last block times r."""
        np.dot(flat(self.tape.fed).T, flat(self.products), out=views.gradients["recurrent_kernel"])
        if "bias" in views.gradients:
            over_rows(flat(self.tape.deltas), views.gradients["bias"][0])
            over_rows(flat(self.products), views.gradients["bias"][1])


class ResetFirstCell:
    """As `GruCell` but for `g = φ(xₜ·W + b + (r · hₜ₋₁)·U)`: the state is reset before the product.

    Products of blocks of columns are `np.matmul`'s, since `np.dot` would copy them first.
    """

    def __init__(self, tape: Tape, activation: Activation, recurrent_activation: Activation) -> None:
        self.tape, self.activation, self.recurrent_activation = tape, activation, recurrent_activation
        kernel = tape.views.weights["recurrent_kernel"]
        self.of_both, self.of_g = kernel[:, : 2 * tape.units], kernel[:, 2 * tape.units :]
        self.d_state, self.share, self.past = tape.empty(), tape.empty(), tape.empty()
        self.product, self.reset = tape.empty(2), tape.empty(each=True)
        self.carried = [(tape.state, self.d_state)]
        self.backs: list[tuple[Backward, Backward]] = []
        if "bias" in tape.views.weights:
            np.add(tape.gates, tape.views.weights["bias"], out=tape.gates)

    def forward(self, t: int) -> None:
        """As its equations have it."""
        tape, units, run = self.tape, self.tape.units, self.tape.run
        fed = tape.feed(t)
        both, g = tape.gates[t][:, : 2 * units], tape.gates[t][:, 2 * units :]
        both += np.dot(fed, self.of_both, out=self.product)
        back_both = self.recurrent_activation.forward(both, both, run)
        np.multiply(both[:, units:], fed, out=self.reset[t])
        g += np.dot(self.reset[t], self.of_g, out=self.share)
        back_g = self.activation.forward(g, g, run)
        state = np.subtract(tape.state[t], g, out=tape.state[t + 1])
        state *= both[:, :units]
        state += g
        self.backs.append((back_both, back_g))

    def backward(self, t: int) -> None:
        """With `ρ = δg·Uᵀ`: `∂r = ρ · hₜ₋₁`, and `ρ · r` is a part of `∂hₜ₋₁`; the rest is as for `GruCell`."""
        tape, units = self.tape, self.tape.units
        gates, delta = tape.gates[t], tape.deltas[t]
        z, r, g = (gates[:, n * units : (n + 1) * units] for n in range(3))
        d_z, d_r, d_g = (delta[:, n * units : (n + 1) * units] for n in range(3))
        back_both, back_g = self.backs[t]
        np.subtract(tape.state[t], g, out=d_z)
        d_z *= self.d_state
        past = np.multiply(self.d_state, z, out=self.past)
        back_g(np.subtract(self.d_state, past, out=d_g))
        reset = np.matmul(d_g, self.of_g.T, out=self.share)
        np.multiply(reset, tape.fed[t], out=d_r)
        back_both(delta[:, : 2 * units])
        tape.fed_back(delta[:, : 2 * units], self.of_both, self.d_state)
        reset *= r
        if tape.state_scale is not None:
            reset *= tape.state_scale
        self.d_state += reset
        self.d_state += past

    def weigh(self, views: Views) -> None:
        """`∂U` of z and r from hₜ₋₁, of g from `r · hₜ₋₁`."""
        units, deltas, d_kernel = self.tape.units, flat(self.tape.deltas), views.gradients["recurrent_kernel"]
        np.matmul(flat(self.tape.fed).T, deltas[:, : 2 * units], out=d_kernel[:, : 2 * units])
        np.matmul(flat(self.reset).T, deltas[:, 2 * units :], out=d_kernel[:, 2 * units :])
        if "bias" in views.gradients:
            over_rows(deltas, views.gradients["bias"])


def _weigh(tape: Tape, views: Views) -> None:
    np.dot(flat(tape.fed).T, flat(tape.deltas), out=views.gradients["recurrent_kernel"])
    if "bias" in views.gradients:
        over_rows(flat(tape.deltas), views.gradients["bias"])
