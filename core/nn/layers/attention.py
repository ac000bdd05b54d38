"""Multi-head attention."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Gt, Le, Lt

from core.nn.arrays import MAX_AXIS_LENGTH, Array, Backward, Shape, size
from core.nn.kernels.reductions import column_sums, ones
from core.nn.layers.base import Bias, Kernel
from core.nn.plan import Plan, ShapeMismatch, Views
from core.nn.step.context import PassContext


@dataclass(frozen=True, kw_only=True, slots=True)
class MultiHeadAttention(Kernel, Bias):
    """Multi-head self-attention: `(batch, steps, features)` in and out (Vaswani et al. 2017, section 3.2).

    With q, k, v from `x · W + b`, one slice per head: `y = concat(softmax(q·kᵀ / √d) · v) · O + o`. Masked steps get no
    weight.
    """

    type: Literal["multi_head_attention"] = "multi_head_attention"
    num_heads: Annotated[int, Ge(1), Le(MAX_AXIS_LENGTH)]
    """The number of attention heads."""
    key_dim: Annotated[int, Ge(1), Le(MAX_AXIS_LENGTH)]
    """The length d of each head's queries and keys."""
    value_dim: Annotated[int, Ge(1), Le(MAX_AXIS_LENGTH)] | None = None
    """The length of each head's values; left out: `key_dim`."""
    num_kv_heads: Annotated[int, Ge(1), Le(MAX_AXIS_LENGTH)] | None = None
    """The number of key and value heads, each shared by a group of query heads (grouped-query attention, Ainslie et al.
    2023); left out: `num_heads`."""
    causal: bool = False
    """Whether each step attends only to itself and earlier steps."""
    rotary: bool = False
    """Whether to rotate queries and keys by their positions, so that scores depend on distance (Su et al. 2021, eq.
    34)."""
    max_wavelength: Annotated[float, Gt(1)] = 10_000.0
    """The longest wavelength of the rotations in steps, divided by 2π."""
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.0
    """The fraction of attention weights set to zero in training."""

    @property
    def kv_heads(self) -> int:
        """The number of key and value heads."""
        return self.num_kv_heads or self.num_heads

    @property
    def value_width(self) -> int:
        """The length of each head's values."""
        return self.value_dim or self.key_dim

    @property
    def projection_widths(self) -> tuple[int, int, int]:
        """The number of features of all queries, all keys and all values of a step."""
        return self.num_heads * self.key_dim, self.kv_heads * self.key_dim, self.kv_heads * self.value_width

    def plan(self, shape: Shape) -> Plan:
        """`kernel` W `(features, queries + keys + values)`, `output_kernel` O `(heads · values, features)`, biases."""
        self._require(shape)
        steps, features = shape
        inner, outer = sum(self.projection_widths), self.num_heads * self.value_width
        weights = {
            "kernel": self.kernel_weight((features, inner)),
            "output_kernel": self.kernel_weight((outer, features)),
        }
        if self.use_bias:
            weights["bias"] = self.bias_weight((inner,))
            weights["output_bias"] = self.bias_weight((features,))
        scores = self.num_heads * steps * steps
        products = 2 * steps * features * (inner + outer) + 2 * scores * (self.key_dim + self.value_width)
        activation_size = 3 * size(shape) + 5 * steps * inner + 3 * steps * outer + 5 * scores
        plan = Plan(shape, weights, flops=products + 5 * scores, activation_size=activation_size)
        return plan.frozen_unless(self.trainable)

    def _require(self, shape: Shape) -> None:
        if len(shape) != 2:
            raise ShapeMismatch(f"needs (steps, features) but gets {shape}: put a reshape before it")
        if self.num_heads % self.kv_heads:
            heads = f"{self.num_heads} heads and {self.kv_heads} num_kv_heads"
            raise ShapeMismatch(f"has {heads}: let num_heads be a multiple of num_kv_heads")
        if self.rotary and self.key_dim % 2:
            raise ShapeMismatch(f"has a key_dim of {self.key_dim} but rotates pairs of numbers: let it be even")

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """With `s = q·kᵀ / √d`, `p = softmax(s)`: `∂s = p · (∂p − Σ ∂p · p)`, `∂q = ∂s·k / √d`, `∂k = ∂sᵀ·q / √d`.

        `Σ ∂p · p` is `∂y · y` for the output y of a head (Dao et al. 2022, eq. 4). s and p are stored transposed, so
        that sums and maxima over all keys run along contiguous rows.
        """
        batch, steps, features = x.shape
        rows, w = x.reshape(batch * steps, features), views.weights
        inner = np.dot(rows, w["kernel"], out=ctx.empty((len(rows), sum(self.projection_widths))))
        if self.use_bias:
            inner += w["bias"]
        q, k, v = self._split_projections(inner.reshape(batch, steps, -1))
        self._rotate(q, k, 1, ctx)
        self._scale_queries(inner)
        weights = self._attention_weights(q, k, ctx)
        dropped, back_dropout = self._dropout(weights, ctx)
        outputs = ctx.empty((len(rows), self.num_heads * self.value_width))
        head_outputs = self._split_heads(outputs.reshape(batch, steps, -1), self.num_heads)
        np.matmul(np.swapaxes(dropped, -1, -2), v, out=head_outputs)
        y = np.dot(outputs, w["output_kernel"], out=ctx.empty(rows.shape))
        if self.use_bias:
            y += w["output_bias"]

        def backward(d_y: Array) -> Array:
            d_rows = d_y.reshape(rows.shape)
            d_outputs = np.dot(d_rows, w["output_kernel"].T, out=ctx.empty(outputs.shape))
            d_head_outputs = self._split_heads(d_outputs.reshape(batch, steps, -1), self.num_heads)
            d_inner = ctx.empty(inner.shape)
            d_q, d_k, d_v = self._split_projections(d_inner.reshape(batch, steps, -1))
            self._sum_over_group(dropped, d_head_outputs, d_v, ctx)
            d_weights = np.matmul(v, np.swapaxes(d_head_outputs, -1, -2), out=ctx.empty(weights.shape))
            d_scores = back_dropout(d_weights)
            projection = np.vecdot(d_head_outputs, head_outputs, out=ctx.empty(head_outputs.shape[:-1]))
            d_scores -= projection[..., None, :]
            d_scores *= weights
            np.matmul(np.swapaxes(d_scores, -1, -2), k, out=d_q)
            self._sum_over_group(d_scores, q, d_k, ctx)
            self._scale_queries(d_inner)
            self._rotate(d_q, d_k, -1, ctx)
            if views.trainable:
                self._weight_gradients(views, (rows, d_inner), (outputs, d_rows))
            if not views.input_gradient:
                return d_y
            return np.dot(d_inner, w["kernel"].T, out=ctx.empty(rows.shape)).reshape(x.shape)

        return y.reshape(x.shape), backward

    def _scale_queries(self, inner: Array) -> None:
        """Divide the queries by `√d`, as a matrix: NumPy would copy a view with five axes before changing it."""
        inner[:, : self.projection_widths[0]] *= 1 / math.sqrt(self.key_dim)

    def _weight_gradients(self, views: Views, projection: tuple[Array, Array], output: tuple[Array, Array]) -> None:
        """Write the gradients of both dense maps, each given by its input and the gradient of its output."""
        for prefix, (inputs, delta) in (("", projection), ("output_", output)):
            np.dot(inputs.T, delta, out=views.gradients[f"{prefix}kernel"])
            if self.use_bias:
                column_sums(delta, views.gradients[f"{prefix}bias"])

    def _split_heads(self, flat: Array, heads: int) -> Array:
        """Return `(batch, steps, …)` as a view `(batch, kv heads, heads per kv head, steps, length)`."""
        batch, steps, width = flat.shape
        return flat.reshape(batch, steps, self.kv_heads, heads // self.kv_heads, width // heads).transpose(
            0, 2, 3, 1, 4
        )

    def _split_projections(self, inner: Array) -> tuple[Array, Array, Array]:
        """Return queries, keys and values as views of their joint projection `(batch, steps, …)`."""
        queries, keys, _ = self.projection_widths
        q, k, v = np.split(inner, [queries, queries + keys], axis=-1)
        return (
            self._split_heads(q, self.num_heads),
            self._split_heads(k, self.kv_heads),
            self._split_heads(v, self.kv_heads),
        )

    def _attention_weights(self, q: Array, k: Array, ctx: PassContext) -> Array:
        """Return softmax(k·qᵀ) over the keys: `(batch, kv heads, heads per kv head, key steps, query steps)`."""
        scores: Array = ctx.empty((*q.shape[:-1], q.shape[-2]))
        np.matmul(k, np.swapaxes(q, -1, -2), out=scores)
        # Finite, so that a fully masked step gets uniform weights and not NaN; a quarter, as scores are added to it.
        masked = np.finfo(scores.dtype).min / 4
        if self.causal:
            scores += _causal_mask(q.shape[-2], masked, scores.dtype.str)
        if ctx.mask is not None:
            padding = np.logical_not(ctx.mask, out=ctx.empty(ctx.mask.shape, np.bool_))
            np.copyto(scores, masked, where=padding[:, None, None, :, None])
        per_query = ctx.empty((*scores.shape[:-2], 1, scores.shape[-1]))
        scores -= np.maximum.reduce(scores, axis=-2, keepdims=True, out=per_query)
        np.exp(scores, out=scores)
        scores /= np.matmul(ones(scores.shape[-2], scores.dtype.str)[None], scores, out=per_query)
        return scores

    def _dropout(self, weights: Array, ctx: PassContext) -> tuple[Array, Backward]:
        if ctx.rng is None or not ctx.training or not self.dropout:
            return weights, lambda gradient: gradient
        scale = ctx.rng.random(out=ctx.empty(weights.shape), dtype=weights.dtype.type)
        np.greater_equal(scale, self.dropout, out=scale)
        scale /= 1 - self.dropout
        dropped = np.multiply(weights, scale, out=ctx.empty(weights.shape))
        return dropped, lambda gradient: np.multiply(gradient, scale, out=gradient)

    def _sum_over_group(self, left: Array, right: Array, out: Array, ctx: PassContext) -> None:
        """Write `left · right`, summed over the query heads that share a key and value head."""
        if out.shape[2] == right.shape[2]:
            np.matmul(left, right, out=out)
        else:
            per_head = np.matmul(left, right, out=ctx.empty((*left.shape[:-1], right.shape[-1])))
            np.add.reduce(per_head, axis=2, keepdims=True, out=out)

    def _rotate(self, q: Array, k: Array, sign: int, ctx: PassContext) -> None:
        """Rotate each pair of numbers by its position, or back with `sign` −1; a pair has a number of each half."""
        if not self.rotary:
            return
        cos, sin = _rotations(q.shape[-2], self.key_dim, self.max_wavelength, q.dtype.str)
        for heads in (q, k):
            half = heads.shape[-1] // 2
            a, b = heads[..., :half], heads[..., half:]
            a_sin = np.multiply(a, sin, out=ctx.empty(a.shape))
            a_sin *= sign
            b_sin = np.multiply(b, sin, out=ctx.empty(b.shape))
            b_sin *= sign
            a *= cos
            a -= b_sin
            b *= cos
            b += a_sin


@lru_cache(maxsize=8)
def _causal_mask(steps: int, masked: float, dtype: str) -> Array:
    """Return `(key steps, query steps)` to add to scores: `masked` where the key is later than the query, else 0."""
    mask: Array = np.tril(np.full((steps, steps), masked, dtype), -1)
    mask.flags.writeable = False
    return mask


@lru_cache(maxsize=8)
def _rotations(steps: int, length: int, max_wavelength: float, dtype: str) -> tuple[Array, Array]:
    """Return the cosine and the sine of the angle of each pair at each step, both `(steps, length / 2)`."""
    rates = max_wavelength ** (-np.arange(0, length, 2) / length)
    angles = np.arange(steps)[:, None] * rates
    tables = np.cos(angles).astype(dtype), np.sin(angles).astype(dtype)
    for table in tables:
        table.flags.writeable = False
    return tables
