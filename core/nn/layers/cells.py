"""The cells of recurrent layers: forward and backward pass of one step, as in each paper."""

from __future__ import annotations

import numpy as np

from core.nn.activations import Activation, Sigmoid, Tanh
from core.nn.arrays import Array, Backward
from core.nn.kernels.reductions import column_sums
from core.nn.layers.unrolling import ConcatenatedUnrolling, Unrolling, merge_steps
from core.nn.plan import Views


class SimpleCell:
    """`hₜ = f(xₜ·W + hₜ₋₁·U + b)` (Elman 1990)."""

    def __init__(self, unrolling: ConcatenatedUnrolling, activation: Activation) -> None:
        self.unrolling, self.activation = unrolling, activation
        self.kernel = unrolling.views.weights["recurrent_kernel"]
        self.d_state = unrolling.empty()
        self.carried = [(unrolling.state, self.d_state)]
        self.back_activations: list[Backward] = []

    def forward(self, t: int) -> None:
        """Compute `hₜ`."""
        [z] = self.unrolling.pre_activations(t)
        back = self.activation.forward(z, self.unrolling.state[t + 1], self.unrolling.ctx)
        self.back_activations.append(back)

    def backward(self, t: int) -> None:
        """Compute `δ = ∂h · f'` and `∂hₜ₋₁ = δ·Uᵀ`."""
        delta = self.unrolling.deltas[:, t]
        np.copyto(delta[0], self.d_state)
        self.back_activations[t](delta[0])
        self.unrolling.state_gradient(delta, self.kernel, self.d_state)

    def write_weight_gradients(self, views: Views) -> None:
        """Write the gradients of W, U and b."""
        self.unrolling.write_weight_gradients(views)


class LstmCell:
    """`(i, f, o) = σ(…)`, `g = φ(…)` of `xₜ·W + hₜ₋₁·U + b`; `cₜ = f·cₜ₋₁ + i·g`, `hₜ = o·φ(cₜ)`."""

    def __init__(
        self, unrolling: ConcatenatedUnrolling, activation: Activation, recurrent_activation: Activation
    ) -> None:
        self.unrolling, self.activation = unrolling, activation
        standard = isinstance(activation, Tanh) and isinstance(recurrent_activation, Sigmoid)
        self.gates = _TanhGates(unrolling) if standard else _Gates(unrolling, activation, recurrent_activation)
        self.kernel = unrolling.views.weights["recurrent_kernel"]
        self.d_state, self.d_cell, self.product = unrolling.empty(), unrolling.empty(), unrolling.empty()
        self.cell, self.activated_cell = unrolling.zero_states(), unrolling.empty(per_step=True)
        self.carried = [(unrolling.state, self.d_state), (self.cell, self.d_cell)]
        self.back_activations: list[Backward] = []

    def forward(self, t: int) -> None:
        """Compute `cₜ` and `hₜ`."""
        unrolling, cell = self.unrolling, self.cell[t + 1]
        z = unrolling.pre_activations(t)
        self.gates.activate(z)
        i, f, g, o = z
        np.multiply(f, self.cell[t], out=cell)
        cell += np.multiply(i, g, out=self.product)
        self.back_activations.append(self.activation.forward(cell, self.activated_cell[t], unrolling.ctx))
        np.multiply(o, self.activated_cell[t], out=unrolling.state[t + 1])

    def backward(self, t: int) -> None:
        """`∂c += ∂h·o·φ'(c)`, then `∂i = ∂c·g`, `∂f = ∂c·cₜ₋₁`, `∂g = ∂c·i`, `∂o = ∂h·φ(c)`, `∂cₜ₋₁ = ∂c·f`."""
        delta = self.unrolling.deltas[:, t]
        i, f, g, o = self.unrolling.gates[:, t]
        d_i, d_f, d_g, d_o = delta
        np.multiply(self.d_state, self.activated_cell[t], out=d_o)
        self.d_state *= o
        self.d_cell += self.back_activations[t](self.d_state)
        np.multiply(self.d_cell, g, out=d_i)
        np.multiply(self.d_cell, self.cell[t], out=d_f)
        np.multiply(self.d_cell, i, out=d_g)
        self.d_cell *= f
        self.gates.multiply_derivative(t, delta)
        self.unrolling.state_gradient(delta, self.kernel, self.d_state)

    def write_weight_gradients(self, views: Views) -> None:
        """Write the gradients of W, U and b."""
        self.unrolling.write_weight_gradients(views)


class _Gates:
    """The activations of an LSTM's gates, for any σ of i, f and o, and any φ of g."""

    def __init__(self, unrolling: Unrolling, activation: Activation, recurrent_activation: Activation) -> None:
        self.unrolling, self.back_activations = unrolling, list[list[Backward]]()
        self.activations = (recurrent_activation, activation, recurrent_activation)

    def activate(self, z: Array) -> None:
        """Replace the pre-activations by `f(z)`."""
        pairs = zip(self.activations, _split_gates(z), strict=True)
        backs = [activation.forward(part, part, self.unrolling.ctx) for activation, part in pairs]
        self.back_activations.append(backs)

    def multiply_derivative(self, t: int, delta: Array) -> None:
        """Replace δ of step t by `δ · f'`."""
        for back, part in zip(self.back_activations[t], _split_gates(delta), strict=True):
            back(part)


class _TanhGates:
    """The activations of an LSTM's gates if σ is the sigmoid and φ the hyperbolic tangent, in fewer passes.

    As `σ(z) = (1 + tanh(z/2)) / 2`, one tangent serves all gates; the weights are halved beforehand, which is exact.
    """

    def __init__(self, unrolling: ConcatenatedUnrolling) -> None:
        ctx = unrolling.ctx
        self.unrolling, self.factor = unrolling, ctx.empty((4, unrolling.batch, unrolling.units))
        self.scale, self.offset, self.shift = (ctx.empty((4, 1, 1)) for _ in range(3))
        for array, for_sigmoid, for_tanh in ((self.scale, 0.5, 1), (self.offset, 0.5, 0), (self.shift, 0, 1)):
            array.fill(for_sigmoid)
            array[2].fill(for_tanh)
        unrolling.weights *= self.scale

    def activate(self, z: Array) -> None:
        """Replace the pre-activations, already scaled by the weights, by `f(z)`."""
        np.tanh(z, out=z)
        z *= self.scale
        z += self.offset

    def multiply_derivative(self, t: int, delta: Array) -> None:
        """Replace δ of step t by `δ · f'`, with `σ' = (1 − σ) · σ` and `φ' = (1 − φ) · (φ + 1)`."""
        gates, factor = self.unrolling.gates[:, t], self.factor
        delta *= np.subtract(1, gates, out=factor)
        delta *= np.add(gates, self.shift, out=factor)


def _split_gates(z: Array) -> tuple[Array, Array, Array]:
    """Return the gates i and f, which are neighbours, then g, then o."""
    return z[:2], z[2], z[3]


class GruCell:
    """`z = σ(…)`, `r = σ(…)`, `g = φ(xₜ·W + b + r · (hₜ₋₁·U + b'))`, `hₜ = z · hₜ₋₁ + (1 − z) · g`."""

    def __init__(self, unrolling: Unrolling, activation: Activation, recurrent_activation: Activation) -> None:
        self.unrolling, self.activation, self.recurrent_activation = unrolling, activation, recurrent_activation
        self.kernel, self.bias = unrolling.views.weights["recurrent_kernel"], None
        self.d_state, self.scratch = unrolling.empty(), unrolling.empty()
        self.products = unrolling.empty(3, per_step=True)
        self.carried = [(unrolling.state, self.d_state)]
        self.back_activations: list[tuple[Backward, Backward]] = []
        if "bias" in unrolling.views.weights:
            input_bias, self.bias = unrolling.views.weights["bias"]
            np.add(unrolling.gates, input_bias, out=unrolling.gates)

    def forward(self, t: int) -> None:
        """Compute `hₜ`; z and r are neighbours, so that one σ serves both."""
        unrolling, units, ctx = self.unrolling, self.unrolling.units, self.unrolling.ctx
        product = np.dot(unrolling.dropped_state(t), self.kernel, out=self.products[t])
        if self.bias is not None:
            product += self.bias
        zr, g = unrolling.gates[t][:, : 2 * units], unrolling.gates[t][:, 2 * units :]
        zr += product[:, : 2 * units]
        back_zr = self.recurrent_activation.forward(zr, zr, ctx)
        g += np.multiply(zr[:, units:], product[:, 2 * units :], out=self.scratch)
        back_g = self.activation.forward(g, g, ctx)
        state = np.subtract(unrolling.state[t], g, out=unrolling.state[t + 1])
        state *= zr[:, :units]
        state += g
        self.back_activations.append((back_zr, back_g))

    def backward(self, t: int) -> None:
        """`∂z = ∂h · (hₜ₋₁ − g)`, `∂g = ∂h · (1 − z)`, `∂r = δg · (hₜ₋₁·U + b')`, and `∂hₜ₋₁` includes `∂h · z`."""
        unrolling, units = self.unrolling, self.unrolling.units
        gates, delta, product = unrolling.gates[t], unrolling.deltas[t], self.products[t]
        z, r, g = (gates[:, n * units : (n + 1) * units] for n in range(3))
        d_z, d_r, d_g = (delta[:, n * units : (n + 1) * units] for n in range(3))
        back_zr, back_g = self.back_activations[t]
        np.subtract(unrolling.state[t], g, out=d_z)
        d_z *= self.d_state
        direct = np.multiply(self.d_state, z, out=self.scratch)
        back_g(np.subtract(self.d_state, direct, out=d_g))
        np.multiply(d_g, product[:, 2 * units :], out=d_r)
        np.copyto(product[:, : 2 * units], back_zr(delta[:, : 2 * units]))
        np.multiply(d_g, r, out=product[:, 2 * units :])
        unrolling.state_gradient(product, self.kernel, self.d_state)
        self.d_state += direct

    def write_weight_gradients(self, views: Views) -> None:
        """Write `∂U = Σ hₜ₋₁ᵀ·δ'ₜ` and `∂b' = Σ δ'ₜ`, where δ' is δ with its last block times r."""
        _write_kernel_gradient(self.unrolling, views)
        recurrent_input, products = merge_steps(self.unrolling.recurrent_input), merge_steps(self.products)
        np.dot(recurrent_input.T, products, out=views.gradients["recurrent_kernel"])
        if "bias" in views.gradients:
            column_sums(merge_steps(self.unrolling.deltas), views.gradients["bias"][0])
            column_sums(products, views.gradients["bias"][1])


class ResetBeforeGruCell:
    """As `GruCell` but for `g = φ(xₜ·W + b + (r · hₜ₋₁)·U)`: the reset gate is applied before the product.

    Products with a block of columns use `np.matmul`, since `np.dot` would copy the block first.
    """

    def __init__(self, unrolling: Unrolling, activation: Activation, recurrent_activation: Activation) -> None:
        self.unrolling, self.activation, self.recurrent_activation = unrolling, activation, recurrent_activation
        kernel = unrolling.views.weights["recurrent_kernel"]
        self.zr_kernel, self.g_kernel = kernel[:, : 2 * unrolling.units], kernel[:, 2 * unrolling.units :]
        self.d_state, self.scratch, self.direct = unrolling.empty(), unrolling.empty(), unrolling.empty()
        self.product, self.reset_state = unrolling.empty(2), unrolling.empty(per_step=True)
        self.carried = [(unrolling.state, self.d_state)]
        self.back_activations: list[tuple[Backward, Backward]] = []
        if "bias" in unrolling.views.weights:
            np.add(unrolling.gates, unrolling.views.weights["bias"], out=unrolling.gates)

    def forward(self, t: int) -> None:
        """Compute `hₜ`."""
        unrolling, units, ctx = self.unrolling, self.unrolling.units, self.unrolling.ctx
        state = unrolling.dropped_state(t)
        zr, g = unrolling.gates[t][:, : 2 * units], unrolling.gates[t][:, 2 * units :]
        zr += np.dot(state, self.zr_kernel, out=self.product)
        back_zr = self.recurrent_activation.forward(zr, zr, ctx)
        np.multiply(zr[:, units:], state, out=self.reset_state[t])
        g += np.dot(self.reset_state[t], self.g_kernel, out=self.scratch)
        back_g = self.activation.forward(g, g, ctx)
        new_state = np.subtract(unrolling.state[t], g, out=unrolling.state[t + 1])
        new_state *= zr[:, :units]
        new_state += g
        self.back_activations.append((back_zr, back_g))

    def backward(self, t: int) -> None:
        """With `ρ = δg·Uᵀ`: `∂r = ρ · hₜ₋₁`, and `∂hₜ₋₁` includes `ρ · r`; the rest is as for `GruCell`."""
        unrolling, units = self.unrolling, self.unrolling.units
        gates, delta = unrolling.gates[t], unrolling.deltas[t]
        z, r, g = (gates[:, n * units : (n + 1) * units] for n in range(3))
        d_z, d_r, d_g = (delta[:, n * units : (n + 1) * units] for n in range(3))
        back_zr, back_g = self.back_activations[t]
        np.subtract(unrolling.state[t], g, out=d_z)
        d_z *= self.d_state
        direct = np.multiply(self.d_state, z, out=self.direct)
        back_g(np.subtract(self.d_state, direct, out=d_g))
        d_reset_state = np.matmul(d_g, self.g_kernel.T, out=self.scratch)
        np.multiply(d_reset_state, unrolling.recurrent_input[t], out=d_r)
        back_zr(delta[:, : 2 * units])
        unrolling.state_gradient(delta[:, : 2 * units], self.zr_kernel, self.d_state)
        d_reset_state *= r
        if unrolling.state_scale is not None:
            d_reset_state *= unrolling.state_scale
        self.d_state += d_reset_state
        self.d_state += direct

    def write_weight_gradients(self, views: Views) -> None:
        """Write `∂U` of z and r from hₜ₋₁, and of g from `r · hₜ₋₁`."""
        _write_kernel_gradient(self.unrolling, views)
        units, deltas = self.unrolling.units, merge_steps(self.unrolling.deltas)
        d_kernel, state = views.gradients["recurrent_kernel"], merge_steps(self.unrolling.recurrent_input)
        np.matmul(state.T, deltas[:, : 2 * units], out=d_kernel[:, : 2 * units])
        np.matmul(merge_steps(self.reset_state).T, deltas[:, 2 * units :], out=d_kernel[:, 2 * units :])
        if "bias" in views.gradients:
            column_sums(deltas, views.gradients["bias"])


def _write_kernel_gradient(unrolling: Unrolling, views: Views) -> None:
    np.dot(merge_steps(unrolling.x).T, merge_steps(unrolling.deltas), out=views.gradients["kernel"])
