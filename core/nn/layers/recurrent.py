"""Recurrent layers: what a step emits depends on the steps before it, through a state that goes along.

All take `(batch, steps, features)` and emit their last state `(batch, units)`, or one for each step. Where a mask says
that a step is not there, the state goes past it unchanged, and so does its gradient.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal, TypeAlias

import numpy as np
from annotated_types import Ge, Le, Lt

from core.nn.activations import Activation, Sigmoid, Tanh
from core.nn.arrays import MOST, Array, Backward, Shape, size
from core.nn.constraints import Constraint
from core.nn.initializers import Drawn, GlorotUniform, Initializer, Orthogonal, Zeros
from core.nn.layers.cells import GruCell, LstmCell, ResetFirstCell, SimpleCell
from core.nn.layers.unrolling import JoinedTape, Tape
from core.nn.plan import Plan, ShapeMismatch, Views, Weight, WeightInitializer
from core.nn.regularizers import Regularizer
from core.nn.step.context import PassContext

Share: TypeAlias = Annotated[float, Ge(0), Lt(1)]


@dataclass(frozen=True, kw_only=True, slots=True)
class SimpleRnn:
    """`hₜ = f(xₜ·W + hₜ₋₁·U + b)`: the plain recurrent net (Elman 1990)."""

    type: Literal["simple_rnn"] = "simple_rnn"
    units: Annotated[int, Ge(1), Le(MOST)]
    """How many numbers its state is."""
    activation: Activation = field(default=Tanh())
    """The function f."""
    use_bias: bool = True
    """Add b, one number a unit."""
    kernel_initializer: Initializer = field(default=GlorotUniform())
    """How W begins."""
    recurrent_initializer: Initializer = field(default=Orthogonal())
    """How U begins."""
    bias_initializer: Initializer = field(default=Zeros())
    """How b begins."""
    kernel_regularizer: Regularizer | None = None
    """A penalty on W."""
    recurrent_regularizer: Regularizer | None = None
    """A penalty on U."""
    bias_regularizer: Regularizer | None = None
    """A penalty on b."""
    kernel_constraint: Constraint | None = None
    """A constraint on W."""
    recurrent_constraint: Constraint | None = None
    """A constraint on U."""
    bias_constraint: Constraint | None = None
    """A constraint on b."""
    dropout: Share = 0.0
    """The share of the inputs that is left out while training, the same at all steps (Gal & Ghahramani 2016)."""
    recurrent_dropout: Share = 0.0
    """The share of the state that is left out of the product with U, the same at all steps."""
    return_sequences: bool = False
    """Emit the state after each step, `(batch, steps, units)`, and not only the last."""
    go_backwards: bool = False
    """Begin with the last step; sequences come out in that order."""
    trainable: bool = True
    """Whether it learns; if not, its weights stay as they are and bear no penalty."""

    def plan(self, shape: Shape) -> Plan:
        """A kernel W `(features, units)`, a recurrent kernel U `(units, units)` and, if wanted, a bias `(units,)`."""
        return _plan(self, shape, gates=1, bias=(self.units,), kept=8)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """Through time (Werbos 1990): `δₜ = f' · (∂yₜ + δₜ₊₁·Uᵀ)`, `∂W = Σ xₜᵀ·δₜ`, `∂U = Σ hₜ₋₁ᵀ·δₜ`."""
        tape = JoinedTape(self, 1, x, views, ctx)
        return tape.forward(SimpleCell(tape, self.activation))


@dataclass(frozen=True, kw_only=True, slots=True)
class Lstm:
    """Long short-term memory: gates decide what a cell keeps, takes in and shows (Hochreiter & Schmidhuber 1997).

    With `zₜ = xₜ·W + hₜ₋₁·U + b` in four blocks: `i = σ(z₁)`, `f = σ(z₂)`, `g = φ(z₃)`, `o = σ(z₄)`,
    `cₜ = f · cₜ₋₁ + i · g`, `hₜ = o · φ(cₜ)`. The gate f is Gers et al.'s (2000).
    """

    type: Literal["lstm"] = "lstm"
    units: Annotated[int, Ge(1), Le(MOST)]
    """How many numbers its state is."""
    activation: Activation = field(default=Tanh())
    """The function φ of what is taken in and of what is shown."""
    recurrent_activation: Activation = field(default=Sigmoid())
    """The function σ of the gates."""
    use_bias: bool = True
    """Add b, four numbers a unit."""
    kernel_initializer: Initializer = field(default=GlorotUniform())
    """How W begins."""
    recurrent_initializer: Initializer = field(default=Orthogonal())
    """How U begins."""
    bias_initializer: Initializer = field(default=Zeros())
    """How b begins."""
    unit_forget_bias: bool = True
    """Let the bias of f begin at 1, so that the cell forgets little at first (Jozefowicz et al. 2015)."""
    kernel_regularizer: Regularizer | None = None
    """A penalty on W."""
    recurrent_regularizer: Regularizer | None = None
    """A penalty on U."""
    bias_regularizer: Regularizer | None = None
    """A penalty on b."""
    kernel_constraint: Constraint | None = None
    """A constraint on W."""
    recurrent_constraint: Constraint | None = None
    """A constraint on U."""
    bias_constraint: Constraint | None = None
    """A constraint on b."""
    dropout: Share = 0.0
    """The share of the inputs that is left out while training, the same at all steps (Gal & Ghahramani 2016)."""
    recurrent_dropout: Share = 0.0
    """The share of the state that is left out of the product with U, the same at all steps."""
    return_sequences: bool = False
    """Emit the state after each step, `(batch, steps, units)`, and not only the last."""
    go_backwards: bool = False
    """Begin with the last step; sequences come out in that order."""
    trainable: bool = True
    """Whether it learns; if not, its weights stay as they are and bear no penalty."""

    def plan(self, shape: Shape) -> Plan:
        """A kernel W `(features, 4 · units)`, a recurrent one U `(units, 4 · units)`, and a bias `(4 · units,)`."""
        first = _ForgetBias(self.bias_initializer) if self.unit_forget_bias else None
        return _plan(self, shape, gates=4, bias=(4 * self.units,), kept=24, first=first)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """Through time, with `∂cₜ = ∂hₜ · o · φ'(cₜ) + ∂cₜ₊₁ · fₜ₊₁`: what a gate keeps, it keeps of the gradient."""
        tape = JoinedTape(self, 4, x, views, ctx)
        return tape.forward(LstmCell(tape, self.activation, self.recurrent_activation))


@dataclass(frozen=True, kw_only=True, slots=True)
class Gru:
    """Gated recurrent unit: an LSTM without a cell of its own (Cho et al. 2014).

    `z = σ(xₜ·W₁ + hₜ₋₁·U₁ + b₁)`, `r = σ(xₜ·W₂ + hₜ₋₁·U₂ + b₂)`, `g = φ(xₜ·W₃ + b₃ + r · (hₜ₋₁·U₃ + b'₃))`,
    `hₜ = z · hₜ₋₁ + (1 − z) · g`.
    """

    type: Literal["gru"] = "gru"
    units: Annotated[int, Ge(1), Le(MOST)]
    """How many numbers its state is."""
    activation: Activation = field(default=Tanh())
    """The function φ of what is taken in."""
    recurrent_activation: Activation = field(default=Sigmoid())
    """The function σ of the gates."""
    reset_after: bool = True
    """Apply r after the product with U₃, with a second bias (as cuDNN does), and not, as in the paper, to hₜ₋₁."""
    use_bias: bool = True
    """Add b, three numbers a unit, twice where r is applied after the product."""
    kernel_initializer: Initializer = field(default=GlorotUniform())
    """How W begins."""
    recurrent_initializer: Initializer = field(default=Orthogonal())
    """How U begins."""
    bias_initializer: Initializer = field(default=Zeros())
    """How b begins."""
    kernel_regularizer: Regularizer | None = None
    """A penalty on W."""
    recurrent_regularizer: Regularizer | None = None
    """A penalty on U."""
    bias_regularizer: Regularizer | None = None
    """A penalty on b."""
    kernel_constraint: Constraint | None = None
    """A constraint on W."""
    recurrent_constraint: Constraint | None = None
    """A constraint on U."""
    bias_constraint: Constraint | None = None
    """A constraint on b."""
    dropout: Share = 0.0
    """The share of the inputs that is left out while training, the same at all steps (Gal & Ghahramani 2016)."""
    recurrent_dropout: Share = 0.0
    """The share of the state that is left out of the product with U, the same at all steps."""
    return_sequences: bool = False
    """Emit the state after each step, `(batch, steps, units)`, and not only the last."""
    go_backwards: bool = False
    """Begin with the last step; sequences come out in that order."""
    trainable: bool = True
    """Whether it learns; if not, its weights stay as they are and bear no penalty."""

    def plan(self, shape: Shape) -> Plan:
        """Kernels W `(features, 3 · units)`, U `(units, 3 · units)`; a bias `(2, 3 · units)`, or `(3 · units,)`."""
        bias = (2, 3 * self.units) if self.reset_after else (3 * self.units,)
        return _plan(self, shape, gates=3, bias=bias, kept=18)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """Through time, with `∂hₜ₋₁ = ∂hₜ · z` past the gates and `δ'ₜ·Uᵀ` through them."""
        tape = Tape(self, 3, x, views, ctx)
        cell = GruCell if self.reset_after else ResetFirstCell
        return tape.forward(cell(tape, self.activation, self.recurrent_activation))


Recurrent: TypeAlias = SimpleRnn | Lstm | Gru


@dataclass(frozen=True, slots=True)
class _ForgetBias:
    """The bias of an LSTM, whose second quarter begins at 1."""

    others: Initializer

    def draw(self, rng: np.random.Generator, shape: Shape) -> Drawn:
        """As the initializer of the others has it, and then the ones."""
        drawn = self.others.draw(rng, shape)
        drawn[shape[0] // 4 : shape[0] // 2] = 1
        return drawn


def _plan(
    layer: Recurrent, shape: Shape, *, gates: int, bias: Shape, kept: int, first: WeightInitializer | None = None
) -> Plan:
    """The plan of a layer with so many gates, which keeps so many numbers for each unit of each step."""
    if len(shape) != 2:
        raise ShapeMismatch(
            f"needs (steps, features), and gets {shape}: put an embedding before it for whole numbers, or a reshape"
        )
    (steps, features), units = shape, layer.units
    weights = {
        "kernel": Weight(
            (features, gates * units), layer.kernel_initializer, layer.kernel_regularizer, layer.kernel_constraint
        ),
        "recurrent_kernel": Weight(
            (units, gates * units), layer.recurrent_initializer, layer.recurrent_regularizer, layer.recurrent_constraint
        ),
    }
    if layer.use_bias:
        weights["bias"] = Weight(bias, first or layer.bias_initializer, layer.bias_regularizer, layer.bias_constraint)
    plan = Plan(
        (steps, units) if layer.return_sequences else (units,),
        weights,
        flops=2 * steps * gates * units * (features + units) + 8 * gates * steps * units,
        activation_size=steps * (kept * units + 3 * features + 1) + features + 16 * units,
        scratch=2 * sum(size(weight.shape) for weight in weights.values()) + size(weights["recurrent_kernel"].shape),
    )
    return plan.frozen_unless(layer.trainable)
