"""One step of each recurrent layer, there and back, as its paper has it."""

from __future__ import annotations

import numpy as np

from core.nn.activations import Activation, Sigmoid, Tanh
from core.nn.arrays import Array, Backward
from core.nn.kernels.reductions import over_rows
from core.nn.layers.unrolling import JoinedTape, Tape, flat
from core.nn.plan import Views


class SimpleCell:
    """`hₜ = f(xₜ·W + hₜ₋₁·U + b)` (Elman 1990)."""

    def __init__(self, tape: JoinedTape, activation: Activation) -> None:
        self.tape, self.activation = tape, activation
        self.kernel = tape.views.weights["recurrent_kernel"]
        self.d_state = tape.empty()
        self.carried = [(tape.state, self.d_state)]
        self.backs: list[Backward] = []

    def forward(self, t: int) -> None:
        """As its equation has it."""
        [z] = self.tape.sums(t)
        self.backs.append(self.activation.forward(z, self.tape.state[t + 1], self.tape.ctx))

    def backward(self, t: int) -> None:
        """`δ = ∂h · f'`, `∂hₜ₋₁ = δ·Uᵀ`."""
        delta = self.tape.deltas[:, t]
        np.copyto(delta[0], self.d_state)
        self.backs[t](delta[0])
        self.tape.fed_back(delta, self.kernel, self.d_state)

    def weigh(self, views: Views) -> None:
        """All sums are the tape's."""
        self.tape.weigh(views)


class LstmCell:
    """`(i, f, o) = σ(…)`, `g = φ(…)` of `xₜ·W + hₜ₋₁·U + b`; `cₜ = f·cₜ₋₁ + i·g`, `hₜ = o·φ(cₜ)`."""

    def __init__(self, tape: JoinedTape, activation: Activation, recurrent_activation: Activation) -> None:
        self.tape, self.activation = tape, activation
        usual = isinstance(activation, Tanh) and isinstance(recurrent_activation, Sigmoid)
        self.gates = _UsualGates(tape) if usual else _AnyGates(tape, activation, recurrent_activation)
        self.kernel = tape.views.weights["recurrent_kernel"]
        self.d_state, self.d_cell, self.share = tape.empty(), tape.empty(), tape.empty()
        self.cell, self.bent = tape.zeros(), tape.empty(each=True)
        self.carried = [(tape.state, self.d_state), (self.cell, self.d_cell)]
        self.backs: list[Backward] = []

    def forward(self, t: int) -> None:
        """As its equations have it."""
        tape, cell = self.tape, self.cell[t + 1]
        z = tape.sums(t)
        self.gates.bend(z)
        i, f, g, o = z
        np.multiply(f, self.cell[t], out=cell)
        cell += np.multiply(i, g, out=self.share)
        self.backs.append(self.activation.forward(cell, self.bent[t], tape.ctx))
        np.multiply(o, self.bent[t], out=tape.state[t + 1])

    def backward(self, t: int) -> None:
        """`∂c += ∂h·o·φ'(c)`, then `∂i = ∂c·g`, `∂f = ∂c·cₜ₋₁`, `∂g = ∂c·i`, `∂o = ∂h·φ(c)`, `∂cₜ₋₁ = ∂c·f`."""
        delta = self.tape.deltas[:, t]
        i, f, g, o = self.tape.gates[:, t]
        d_i, d_f, d_g, d_o = delta
        np.multiply(self.d_state, self.bent[t], out=d_o)
        self.d_state *= o
        self.d_cell += self.backs[t](self.d_state)
        np.multiply(self.d_cell, g, out=d_i)
        np.multiply(self.d_cell, self.cell[t], out=d_f)
        np.multiply(self.d_cell, i, out=d_g)
        self.d_cell *= f
        self.gates.unbend(t, delta)
        self.tape.fed_back(delta, self.kernel, self.d_state)

    def weigh(self, views: Views) -> None:
        """All sums are the tape's."""
        self.tape.weigh(views)


class _AnyGates:
    """The functions of an LSTM's gates: σ of i, f and o, φ of g, whatever both are."""

    def __init__(self, tape: Tape, activation: Activation, recurrent_activation: Activation) -> None:
        self.tape, self.backs = tape, list[list[Backward]]()
        self.functions = (recurrent_activation, activation, recurrent_activation)

    def bend(self, z: Array) -> None:
        """`f(z)` in place of z."""
        pairs = zip(self.functions, _parts(z), strict=True)
        self.backs.append([function.forward(part, part, self.tape.ctx) for function, part in pairs])

    def unbend(self, t: int, delta: Array) -> None:
        """`δ · f'` of step t in place of δ."""
        for back, part in zip(self.backs[t], _parts(delta), strict=True):
            back(part)


class _UsualGates:
    """The same where σ is the sigmoid and φ the hyperbolic tangent, in fewer passes.

    As `σ(z) = (1 + tanh(z/2)) / 2`, one tangent serves all of z; what is halved, without a rounding, are the weights.
    """

    def __init__(self, tape: JoinedTape) -> None:
        self.tape, self.slope = tape, tape.ctx.empty((4, tape.batch, tape.units))
        self.scale, self.offset, self.shift = (tape.ctx.empty((4, 1, 1)) for _ in range(3))
        for each, of_sigmoid, of_tanh in ((self.scale, 0.5, 1), (self.offset, 0.5, 0), (self.shift, 0, 1)):
            each.fill(of_sigmoid)
            each[2].fill(of_tanh)
        tape.weights *= self.scale

    def bend(self, z: Array) -> None:
        """`f(z)` in place of z, half of which came out of the weights."""
        np.tanh(z, out=z)
        z *= self.scale
        z += self.offset

    def unbend(self, t: int, delta: Array) -> None:
        """`σ' = (1 − σ) · σ`, `φ' = (1 − φ) · (φ + 1)`."""
        z, slope = self.tape.gates[:, t], self.slope
        delta *= np.subtract(1, z, out=slope)
        delta *= np.add(z, self.shift, out=slope)


def _parts(z: Array) -> tuple[Array, Array, Array]:
    """Those of i and f, which lie beside each other, of g, and of o."""
    return z[:2], z[2], z[3]


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
        tape, units, ctx = self.tape, self.tape.units, self.tape.ctx
        product = np.dot(tape.feed(t), self.kernel, out=self.products[t])
        if self.bias is not None:
            product += self.bias
        both, g = tape.gates[t][:, : 2 * units], tape.gates[t][:, 2 * units :]
        both += product[:, : 2 * units]
        back_both = self.recurrent_activation.forward(both, both, ctx)
        g += np.multiply(both[:, units:], product[:, 2 * units :], out=self.share)
        back_g = self.activation.forward(g, g, ctx)
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
        _weigh_inputs(self.tape, views)
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
        tape, units, ctx = self.tape, self.tape.units, self.tape.ctx
        fed = tape.feed(t)
        both, g = tape.gates[t][:, : 2 * units], tape.gates[t][:, 2 * units :]
        both += np.dot(fed, self.of_both, out=self.product)
        back_both = self.recurrent_activation.forward(both, both, ctx)
        np.multiply(both[:, units:], fed, out=self.reset[t])
        g += np.dot(self.reset[t], self.of_g, out=self.share)
        back_g = self.activation.forward(g, g, ctx)
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
        _weigh_inputs(self.tape, views)
        units, deltas, d_kernel = self.tape.units, flat(self.tape.deltas), views.gradients["recurrent_kernel"]
        np.matmul(flat(self.tape.fed).T, deltas[:, : 2 * units], out=d_kernel[:, : 2 * units])
        np.matmul(flat(self.reset).T, deltas[:, 2 * units :], out=d_kernel[:, 2 * units :])
        if "bias" in views.gradients:
            over_rows(deltas, views.gradients["bias"])


def _weigh_inputs(tape: Tape, views: Views) -> None:
    np.dot(flat(tape.x).T, flat(tape.deltas), out=views.gradients["kernel"])
