"""How the outputs of branches that stand beside each other become one, and how its gradient comes apart again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Literal, TypeAlias

import numpy as np

from core.nn.activations import sigmoid
from core.nn.arrays import Array
from core.nn.step.context import PassContext

Merge: TypeAlias = Literal["add", "concatenate", "multiply", "average"]
Shares: TypeAlias = Callable[[Array], list[Array]]
"""From the gradient of what they have become to those of the outputs."""


def copied(gradient: Array, ctx: PassContext) -> Array:
    """The same numbers, for somebody else to overwrite."""
    copy: Array = ctx.empty(gradient.shape)
    np.copyto(copy, gradient)
    return copy


def added(gradients: Sequence[Array]) -> Array:
    """Their sum, in the first of them: who is handed a gradient may overwrite it."""
    total, *others = gradients
    for other in others:
        total += other
    return total


def summed(parts: Sequence[Array], ctx: PassContext) -> Array:
    """Their sum, number by number, in memory of its own."""
    first, *others = parts
    total = copied(first, ctx)
    for other in others:
        total += other
    return total


def _concatenated(outputs: list[Array], ctx: PassContext) -> tuple[Array, Shares]:
    widths = [output.shape[-1] for output in outputs]
    y: Array = ctx.empty((*outputs[0].shape[:-1], sum(widths)))
    np.concatenate(outputs, axis=-1, out=y)
    ends = np.cumsum(widths)[:-1]
    return y, lambda d_y: [copied(part, ctx) for part in np.split(d_y, ends, axis=-1)]


def _added(outputs: list[Array], ctx: PassContext) -> tuple[Array, Shares]:
    return summed(outputs, ctx), lambda d_y: [copied(d_y, ctx) for _ in outputs]


def _averaged(outputs: list[Array], ctx: PassContext) -> tuple[Array, Shares]:
    y = summed(outputs, ctx)
    y /= len(outputs)

    def shares(d_y: Array) -> list[Array]:
        d_y /= len(outputs)
        return [copied(d_y, ctx) for _ in outputs]

    return y, shares


def _multiplied(outputs: list[Array], ctx: PassContext) -> tuple[Array, Shares]:
    y = _product(outputs, ctx)

    def shares(d_y: Array) -> list[Array]:
        return [_product([d_y, *outputs[:turn], *outputs[turn + 1 :]], ctx) for turn in range(len(outputs))]

    return y, shares


def _gated(outputs: list[Array], ctx: PassContext) -> tuple[Array, Shares]:
    """With s = σ(the last output): `s · a`, or `s · a + (1 − s) · b`.

    `∂a = s · ∂y`, `∂b = (1 − s) · ∂y`, and of what goes into σ `s · (1 − s) · (a − b) · ∂y`.
    """
    *values, gate = outputs
    share = sigmoid(gate, ctx.empty(gate.shape))
    rest = np.subtract(1, share, out=ctx.empty(gate.shape))
    between = values[0] if len(values) == 1 else np.subtract(values[0], values[1], out=ctx.empty(gate.shape))
    y = np.multiply(share, between, out=ctx.empty(gate.shape))
    if len(values) == 2:
        y += values[1]

    def shares(d_y: Array) -> list[Array]:
        of_values = [_product([d_y, part], ctx) for part in (share, rest)[: len(values)]]
        return [*of_values, _product([d_y, share, rest, between], ctx)]

    return y, shares


def _product(factors: list[Array], ctx: PassContext) -> Array:
    y = copied(factors[0], ctx)
    for factor in factors[1:]:
        y *= factor
    return y


MERGES: Mapping[str, Callable[[list[Array], PassContext], tuple[Array, Shares]]] = MappingProxyType(
    {"concatenate": _concatenated, "add": _added, "average": _averaged, "multiply": _multiplied, "gate": _gated}
)
