"""Attention: every step of a sequence asks all others, and takes from each as much as its answer fits the question."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Gt, Le, Lt

from core.nn.arrays import MOST, Array, Backward, Shape, size
from core.nn.constraints import Constraint
from core.nn.initializers import GlorotUniform, Initializer, Zeros
from core.nn.kernels.reductions import ones, over_rows
from core.nn.plan import Plan, ShapeMismatch, Views, Weight
from core.nn.regularizers import Regularizer
from core.nn.step.context import PassContext


@dataclass(frozen=True, kw_only=True, slots=True)
class MultiHeadAttention:
    """Self-attention: `(batch, steps, features)` in and out (Vaswani et al. 2017, section 3.2).

    With q, k, v from `x · W + b`, a part for each head: `y = concat(softmax(q·kᵀ / √d) · v) · O + o`. A step that is
    not there, by the mask, is asked by none.
    """

    type: Literal["multi_head_attention"] = "multi_head_attention"
    num_heads: Annotated[int, Ge(1), Le(MOST)]
    """How many questions each step asks."""
    key_dim: Annotated[int, Ge(1), Le(MOST)]
    """How long a head's questions and keys are: d."""
    value_dim: Annotated[int, Ge(1), Le(MOST)] | None = None
    """How long its answers are; left out: as its keys."""
    num_kv_heads: Annotated[int, Ge(1), Le(MOST)] | None = None
    """How many keys and values a step has, shared by as many heads each (Ainslie et al. 2023); left out: one a head."""
    causal: bool = False
    """Let no step see a later one."""
    rotary: bool = False
    """Turn questions and keys by their positions, so that distance counts (Su et al. 2021, eq. 34)."""
    max_wavelength: Annotated[float, Gt(1)] = 10_000.0
    """The longest of these turns, in steps by 2π."""
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.0
    """The share of the weights of answers that is left out while training."""
    use_bias: bool = True
    """Add b and o."""
    kernel_initializer: Initializer = field(default=GlorotUniform())
    """How W and O begin."""
    bias_initializer: Initializer = field(default=Zeros())
    """How b and o begin."""
    kernel_regularizer: Regularizer | None = None
    """A penalty on W and O."""
    bias_regularizer: Regularizer | None = None
    """A penalty on b and o."""
    kernel_constraint: Constraint | None = None
    """A constraint on W and O."""
    bias_constraint: Constraint | None = None
    """A constraint on b and o."""
    trainable: bool = True
    """Whether it learns; if not, its weights stay as they are and bear no penalty."""

    @property
    def sources(self) -> int:
        """How many heads keys and values have."""
        return self.num_kv_heads or self.num_heads

    @property
    def widths(self) -> tuple[int, int, int]:
        """How many numbers all questions, all keys and all values of a step are."""
        return self.num_heads * self.key_dim, self.sources * self.key_dim, self.sources * self.answer

    @property
    def answer(self) -> int:
        """How long a head's answer is."""
        return self.value_dim or self.key_dim

    def plan(self, shape: Shape) -> Plan:
        """`kernel` W `(features, questions + keys + values)`, `output_kernel` O `(answers, features)`, and biases."""
        self._require(shape)
        steps, features = shape
        inner, outer = sum(self.widths), self.num_heads * self.answer
        weights = {
            "kernel": Weight(
                (features, inner), self.kernel_initializer, self.kernel_regularizer, self.kernel_constraint
            ),
            "output_kernel": Weight(
                (outer, features), self.kernel_initializer, self.kernel_regularizer, self.kernel_constraint
            ),
        }
        if self.use_bias:
            weights["bias"] = Weight((inner,), self.bias_initializer, self.bias_regularizer, self.bias_constraint)
            weights["output_bias"] = Weight(
                (features,), self.bias_initializer, self.bias_regularizer, self.bias_constraint
            )
        scores = self.num_heads * steps * steps
        products = 2 * steps * features * (inner + outer) + 2 * scores * (self.key_dim + self.answer)
        activation_size = 3 * size(shape) + 5 * steps * inner + 3 * steps * outer + 5 * scores
        plan = Plan(shape, weights, flops=products + 5 * scores, activation_size=activation_size)
        return plan.frozen_unless(self.trainable)

    def _require(self, shape: Shape) -> None:
        if len(shape) != 2:
            raise ShapeMismatch(f"needs (steps, features), and gets {shape}: put a reshape before it")
        if self.num_heads % self.sources:
            heads = f"{self.num_heads} heads, and {self.sources} num_kv_heads"
            raise ShapeMismatch(f"has {heads}: let the one be a multiple of the other")
        if self.rotary and self.key_dim % 2:
            raise ShapeMismatch(f"has a key_dim of {self.key_dim}, and turns pairs of numbers: let it be even")

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """With `s = q·kᵀ / √d`, `p = softmax(s)`: `∂s = p · (∂p − Σ ∂p · p)`, `∂q = ∂s·k / √d`, `∂k = ∂sᵀ·q / √d`.

        `Σ ∂p · p` is `∂y · y` of a head's answer y (Dao et al. 2022, eq. 4). Of s and p the transposes are kept, whose
        sums and maxima over all keys run along whole rows of numbers.
        """
        batch, steps, features = x.shape
        rows, w = x.reshape(batch * steps, features), views.weights
        inner = np.dot(rows, w["kernel"], out=ctx.empty((len(rows), sum(self.widths))))
        if self.use_bias:
            inner += w["bias"]
        q, k, v = self._heads(inner.reshape(batch, steps, -1))
        self._turn(q, k, 1, ctx)
        self._scale(inner)
        shares = self._shares(q, k, ctx)
        kept, back_dropout = self._dropped(shares, ctx)
        answers = ctx.empty((len(rows), self.num_heads * self.answer))
        answer = self._split(answers.reshape(batch, steps, -1), self.num_heads)
        np.matmul(np.swapaxes(kept, -1, -2), v, out=answer)
        y = np.dot(answers, w["output_kernel"], out=ctx.empty(rows.shape))
        if self.use_bias:
            y += w["output_bias"]

        def backward(d_y: Array) -> Array:
            d_rows = d_y.reshape(rows.shape)
            d_answers = np.dot(d_rows, w["output_kernel"].T, out=ctx.empty(answers.shape))
            d_answer = self._split(d_answers.reshape(batch, steps, -1), self.num_heads)
            d_inner = ctx.empty(inner.shape)
            d_q, d_k, d_v = self._heads(d_inner.reshape(batch, steps, -1))
            self._summed(kept, d_answer, d_v, ctx)
            slope = back_dropout(np.matmul(v, np.swapaxes(d_answer, -1, -2), out=ctx.empty(shares.shape)))
            slope -= np.vecdot(d_answer, answer, out=ctx.empty(answer.shape[:-1]))[..., None, :]
            slope *= shares
            np.matmul(np.swapaxes(slope, -1, -2), k, out=d_q)
            self._summed(slope, q, d_k, ctx)
            self._scale(d_inner)
            self._turn(d_q, d_k, -1, ctx)
            if views.trainable:
                self._weigh(views, (rows, d_inner), (answers, d_rows))
            if not views.input_gradient:
                return d_y
            return np.dot(d_inner, w["kernel"].T, out=ctx.empty(rows.shape)).reshape(x.shape)

        return y.reshape(x.shape), backward

    def _scale(self, inner: Array) -> None:
        """Divide the questions by `√d`, in two dimensions: NumPy copies a view of five before it changes it."""
        inner[:, : self.widths[0]] *= 1 / math.sqrt(self.key_dim)

    def _weigh(self, views: Views, first: tuple[Array, Array], last: tuple[Array, Array]) -> None:
        for name, (given, delta) in (("", first), ("output_", last)):
            np.dot(given.T, delta, out=views.gradients[f"{name}kernel"])
            if self.use_bias:
                over_rows(delta, views.gradients[f"{name}bias"])

    def _split(self, flat: Array, heads: int) -> Array:
        """`(batch, steps, …)` as a view `(batch, sources, heads of each, steps, length)`."""
        batch, steps, width = flat.shape
        return flat.reshape(batch, steps, self.sources, heads // self.sources, width // heads).transpose(0, 2, 3, 1, 4)

    def _heads(self, inner: Array) -> tuple[Array, Array, Array]:
        """Questions, keys and values as views of their product `(batch, steps, …)`."""
        questions, keys, _ = self.widths
        q, k, v = np.split(inner, [questions, questions + keys], axis=-1)
        return self._split(q, self.num_heads), self._split(k, self.sources), self._split(v, self.sources)

    def _shares(self, q: Array, k: Array, ctx: PassContext) -> Array:
        """How much from each step each takes: `(batch, sources, heads of each, steps taken from, steps that take)`."""
        scores: Array = ctx.empty((*q.shape[:-1], q.shape[-2]))
        np.matmul(k, np.swapaxes(q, -1, -2), out=scores)
        # Finite, so that a step that sees nothing sees all alike, and not NaN; a quarter, as scores are added to it.
        none = np.finfo(scores.dtype).min / 4
        if self.causal:
            scores += _later(q.shape[-2], none, scores.dtype.str)
        if ctx.mask is not None:
            absent = np.logical_not(ctx.mask, out=ctx.empty(ctx.mask.shape, np.bool_))
            np.copyto(scores, none, where=absent[:, None, None, :, None])
        of_each = ctx.empty((*scores.shape[:-2], 1, scores.shape[-1]))
        scores -= np.maximum.reduce(scores, axis=-2, keepdims=True, out=of_each)
        np.exp(scores, out=scores)
        scores /= np.matmul(ones(scores.shape[-2], scores.dtype.str)[None], scores, out=of_each)
        return scores

    def _dropped(self, shares: Array, ctx: PassContext) -> tuple[Array, Backward]:
        if ctx.rng is None or not ctx.training or not self.dropout:
            return shares, lambda gradient: gradient
        scale = ctx.rng.random(out=ctx.empty(shares.shape), dtype=shares.dtype.type)
        np.greater_equal(scale, self.dropout, out=scale)
        scale /= 1 - self.dropout
        kept = np.multiply(shares, scale, out=ctx.empty(shares.shape))
        return kept, lambda gradient: np.multiply(gradient, scale, out=gradient)

    def _summed(self, left: Array, right: Array, out: Array, ctx: PassContext) -> None:
        """Write `left · right`, summed over the heads that share a source."""
        if out.shape[2] == right.shape[2]:
            np.matmul(left, right, out=out)
        else:
            each = np.matmul(left, right, out=ctx.empty((*left.shape[:-1], right.shape[-1])))
            np.add.reduce(each, axis=2, keepdims=True, out=out)

    def _turn(self, q: Array, k: Array, sign: int, ctx: PassContext) -> None:
        """Turn each pair of numbers by its position, `sign` 1, or back, −1; a pair is a number of either half."""
        if not self.rotary:
            return
        cos, sin = _turns(q.shape[-2], self.key_dim, self.max_wavelength, q.dtype.str)
        for heads in (q, k):
            half = heads.shape[-1] // 2
            a, b = heads[..., :half], heads[..., half:]
            turned = np.multiply(a, sin, out=ctx.empty(a.shape))
            turned *= sign
            crossed = np.multiply(b, sin, out=ctx.empty(b.shape))
            crossed *= sign
            a *= cos
            a -= crossed
            b *= cos
            b += turned


@lru_cache(maxsize=8)
def _later(steps: int, none: float, dtype: str) -> Array:
    """`none` where the first step comes after the second, 0 elsewhere, to be added: `(steps, steps)`."""
    later: Array = np.tril(np.full((steps, steps), none, dtype), -1)
    later.flags.writeable = False
    return later


@lru_cache(maxsize=8)
def _turns(steps: int, length: int, longest: float, dtype: str) -> tuple[Array, Array]:
    """The cosine and the sine of each pair's turn at each step: `(steps, length / 2)`."""
    rates = longest ** (-np.arange(0, length, 2) / length)
    angles = np.arange(steps)[:, None] * rates
    both = np.cos(angles).astype(dtype), np.sin(angles).astype(dtype)
    for table in both:
        table.flags.writeable = False
    return both
