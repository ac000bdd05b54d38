"""Recurrent layers: each step's output depends on the steps before it, through a hidden state.

All take `(batch, steps, features)` and return the last hidden state `(batch, units)`, or that of each step. At a masked
step the hidden state is carried over unchanged, and so is its gradient.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal, TypeAlias

import numpy as np
from annotated_types import Ge, Le, Lt

from core.nn.activations import Activation, Sigmoid, Tanh
from core.nn.arrays import MAX_AXIS_LENGTH, Array, Backward, Shape, size
from core.nn.constraints import Constraint
from core.nn.initializers import Drawn, Initializer, Orthogonal
from core.nn.layers.base import Bias, Kernel
from core.nn.layers.cells import GruCell, LstmCell, ResetBeforeGruCell, SimpleCell
from core.nn.layers.unrolling import ConcatenatedUnrolling, Unrolling
from core.nn.plan import Plan, ShapeMismatch, Views, Weight, WeightInitializer
from core.nn.regularizers import Regularizer
from core.nn.step.context import PassContext

Rate: TypeAlias = Annotated[float, Ge(0), Lt(1)]


@dataclass(frozen=True, kw_only=True)
class RecurrentLayer(Kernel, Bias):
    """The fields that all recurrent layers share: W is the kernel, U the recurrent kernel and b the bias."""

    __slots__ = ()

    units: Annotated[int, Ge(1), Le(MAX_AXIS_LENGTH)]
    """The size of the hidden state."""
    recurrent_initializer: Initializer = field(default=Orthogonal())
    """The initial values of U."""
    recurrent_regularizer: Regularizer | None = None
    """A penalty on U."""
    recurrent_constraint: Constraint | None = None
    """A constraint on U."""
    dropout: Rate = 0.0
    """The fraction of inputs set to zero in training, the same at all steps (Gal & Ghahramani 2016)."""
    recurrent_dropout: Rate = 0.0
    """The fraction of the hidden state set to zero before the product with U, the same at all steps."""
    return_sequences: bool = False
    """Whether to return the hidden state of each step, `(batch, steps, units)`, and not only the last."""
    go_backwards: bool = False
    """Whether to process the steps in reverse; a sequence is then returned in that order."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SimpleRnn(RecurrentLayer):
    """Simple recurrent layer: `hₜ = f(xₜ·W + hₜ₋₁·U + b)` (Elman 1990)."""

    type: Literal["simple_rnn"] = "simple_rnn"
    activation: Activation = field(default=Tanh())
    """The activation function f."""

    def plan(self, shape: Shape) -> Plan:
        """Kernel W `(features, units)`, recurrent kernel U `(units, units)` and bias `(units,)`."""
        return _plan(self, shape, gates=1, bias=(self.units,), kept=8)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """Through time (Werbos 1990): `δₜ = f' · (∂yₜ + δₜ₊₁·Uᵀ)`, `∂W = Σ xₜᵀ·δₜ`, `∂U = Σ hₜ₋₁ᵀ·δₜ`."""
        unrolling = ConcatenatedUnrolling(self, 1, x, views, ctx)
        return unrolling.forward(SimpleCell(unrolling, self.activation))


@dataclass(frozen=True, kw_only=True, slots=True)
class Lstm(RecurrentLayer):
    """Long short-term memory: gates control what the cell state keeps, adds and emits (Hochreiter & Schmidhuber 1997).

    With `zₜ = xₜ·W + hₜ₋₁·U + b` in four blocks: `i = σ(z₁)`, `f = σ(z₂)`, `g = φ(z₃)`, `o = σ(z₄)`,
    `cₜ = f · cₜ₋₁ + i · g`, `hₜ = o · φ(cₜ)`. The forget gate f is due to Gers et al. (2000).
    """

    type: Literal["lstm"] = "lstm"
    activation: Activation = field(default=Tanh())
    """The activation function φ of the candidate and the output."""
    recurrent_activation: Activation = field(default=Sigmoid())
    """The activation function σ of the gates."""
    unit_forget_bias: bool = True
    """Whether the forget gate's bias is initialized to 1, so that the cell state is kept at first (Jozefowicz et al.
    2015)."""

    def plan(self, shape: Shape) -> Plan:
        """Kernel W `(features, 4 · units)`, recurrent kernel U `(units, 4 · units)` and bias `(4 · units,)`."""
        initializer = _ForgetBias(self.bias_initializer) if self.unit_forget_bias else self.bias_initializer
        return _plan(self, shape, gates=4, bias=(4 * self.units,), kept=24, bias_initializer=initializer)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """Through time, with `∂cₜ = ∂hₜ · o · φ'(cₜ) + ∂cₜ₊₁ · fₜ₊₁`: the forget gate scales the gradient as well."""
        unrolling = ConcatenatedUnrolling(self, 4, x, views, ctx)
        return unrolling.forward(LstmCell(unrolling, self.activation, self.recurrent_activation))


@dataclass(frozen=True, kw_only=True, slots=True)
class Gru(RecurrentLayer):
    """Gated recurrent unit: gates as in an LSTM, but no separate cell state (Cho et al. 2014).

    `z = σ(xₜ·W₁ + hₜ₋₁·U₁ + b₁)`, `r = σ(xₜ·W₂ + hₜ₋₁·U₂ + b₂)`, `g = φ(xₜ·W₃ + b₃ + r · (hₜ₋₁·U₃ + b'₃))`,
    `hₜ = z · hₜ₋₁ + (1 − z) · g`.
    """

    type: Literal["gru"] = "gru"
    activation: Activation = field(default=Tanh())
    """The activation function φ of the candidate."""
    recurrent_activation: Activation = field(default=Sigmoid())
    """The activation function σ of the gates."""
    reset_after: bool = True
    """Whether the reset gate r is applied after the product with U₃, with a second bias (as in cuDNN), or, as in the
    paper, to hₜ₋₁ before it."""

    def plan(self, shape: Shape) -> Plan:
        """Kernels W `(features, 3 · units)`, U `(units, 3 · units)`; a bias `(2, 3 · units)`, or `(3 · units,)`."""
        bias = (2, 3 * self.units) if self.reset_after else (3 * self.units,)
        return _plan(self, shape, gates=3, bias=bias, kept=18)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """Through time: `∂hₜ₋₁` is `∂hₜ · z` directly, plus `δ'ₜ·Uᵀ` through the gates."""
        unrolling = Unrolling(self, 3, x, views, ctx)
        cell = GruCell if self.reset_after else ResetBeforeGruCell
        return unrolling.forward(cell(unrolling, self.activation, self.recurrent_activation))


Recurrent: TypeAlias = SimpleRnn | Lstm | Gru


@dataclass(frozen=True, slots=True)
class _ForgetBias:
    """The initializer of an LSTM's bias, whose second quarter, that of the forget gate, is 1."""

    initializer: Initializer

    def draw(self, rng: np.random.Generator, shape: Shape) -> Drawn:
        """Draw all numbers by the initializer, then set those of the forget gate to 1."""
        drawn = self.initializer.draw(rng, shape)
        drawn[shape[0] // 4 : shape[0] // 2] = 1
        return drawn


def _plan(
    layer: Recurrent,
    shape: Shape,
    *,
    gates: int,
    bias: Shape,
    kept: int,
    bias_initializer: WeightInitializer | None = None,
) -> Plan:
    """Return the plan of a layer with this number of gates that keeps `kept` numbers per unit and step."""
    if len(shape) != 2:
        raise ShapeMismatch(
            f"needs (steps, features) but gets {shape}: put an embedding before it for whole numbers, or a reshape"
        )
    (steps, features), units = shape, layer.units
    weights = {
        "kernel": layer.kernel_weight((features, gates * units)),
        "recurrent_kernel": Weight(
            (units, gates * units), layer.recurrent_initializer, layer.recurrent_regularizer, layer.recurrent_constraint
        ),
    }
    if layer.use_bias:
        initializer = bias_initializer or layer.bias_initializer
        weights["bias"] = Weight(bias, initializer, layer.bias_regularizer, layer.bias_constraint)
    plan = Plan(
        (steps, units) if layer.return_sequences else (units,),
        weights,
        flops=2 * steps * gates * units * (features + units) + 8 * gates * steps * units,
        activation_size=steps * (kept * units + 3 * features + 1) + features + 16 * units,
        scratch=2 * sum(size(weight.shape) for weight in weights.values()) + size(weights["recurrent_kernel"].shape),
    )
    return plan.frozen_unless(layer.trainable)
