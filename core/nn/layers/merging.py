"""The ways to merge the outputs of parallel branches into one array, and their gradients."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Literal, TypeAlias

import numpy as np

from core.nn.arrays import Array, Shape
from core.nn.kernels.exponentials import sigmoid
from core.nn.plan import ShapeMismatch
from core.nn.step.context import PassContext

Merge: TypeAlias = Literal["add", "concatenate", "multiply", "average"]
BackwardMerge: TypeAlias = Callable[[Array], list[Array]]
"""A function from the gradient of the merged array to the gradient of each output."""


def merged_shape(shapes: Sequence[Shape], merge: str) -> Shape:
    """Return the shape of the merged outputs; raise `ShapeMismatch` if outputs of these shapes do not fit together."""
    if merge == "concatenate":
        if len({shape[:-1] for shape in shapes}) > 1 or not all(shapes):
            raise ShapeMismatch(f"gets {shapes} to concatenate: let all axes but the last be the same")
        return (*shapes[0][:-1], sum(shape[-1] for shape in shapes))
    if len(set(shapes)) > 1:
        raise ShapeMismatch(f"gets {shapes} to {merge}: let all branches emit the same shape")
    return shapes[0]


def copy_of(array: Array, ctx: PassContext) -> Array:
    """Return a copy, which the receiver may overwrite."""
    copy: Array = ctx.empty(array.shape)
    np.copyto(copy, array)
    return copy


def sum_in_place(gradients: Sequence[Array]) -> Array:
    """Return the sum of gradients, written to the first: a backward pass may overwrite a gradient that it gets."""
    total, *others = gradients
    for other in others:
        total += other
    return total


def sum_of(parts: Sequence[Array], ctx: PassContext) -> Array:
    """Return the elementwise sum in an array of its own."""
    first, *others = parts
    return sum_in_place([copy_of(first, ctx), *others])


def _concatenate(outputs: list[Array], ctx: PassContext) -> tuple[Array, BackwardMerge]:
    widths = [output.shape[-1] for output in outputs]
    y: Array = ctx.empty((*outputs[0].shape[:-1], sum(widths)))
    np.concatenate(outputs, axis=-1, out=y)
    ends = np.cumsum(widths)[:-1]
    return y, lambda d_y: [copy_of(part, ctx) for part in np.split(d_y, ends, axis=-1)]


def _add(outputs: list[Array], ctx: PassContext) -> tuple[Array, BackwardMerge]:
    return sum_of(outputs, ctx), lambda d_y: [copy_of(d_y, ctx) for _ in outputs]


def _average(outputs: list[Array], ctx: PassContext) -> tuple[Array, BackwardMerge]:
    y = sum_of(outputs, ctx)
    y /= len(outputs)

    def backward(d_y: Array) -> list[Array]:
        d_y /= len(outputs)
        return [copy_of(d_y, ctx) for _ in outputs]

    return y, backward


def _multiply(outputs: list[Array], ctx: PassContext) -> tuple[Array, BackwardMerge]:
    y = _product(outputs, ctx)

    def backward(d_y: Array) -> list[Array]:
        return [_product([d_y, *outputs[:i], *outputs[i + 1 :]], ctx) for i in range(len(outputs))]

    return y, backward


def _gate(outputs: list[Array], ctx: PassContext) -> tuple[Array, BackwardMerge]:
    """Compute `s · a`, or `s · a + (1 − s) · b`, with s = σ(the last output).

    `∂a = s · ∂y`, `∂b = (1 − s) · ∂y`, and the gradient of the last output is `s · (1 − s) · (a − b) · ∂y`.
    """
    *values, logits = outputs
    gate = sigmoid(logits, ctx.empty(logits.shape))
    complement = np.subtract(1, gate, out=ctx.empty(logits.shape))
    difference = values[0] if len(values) == 1 else np.subtract(values[0], values[1], out=ctx.empty(logits.shape))
    y = np.multiply(gate, difference, out=ctx.empty(logits.shape))
    if len(values) == 2:
        y += values[1]

    def backward(d_y: Array) -> list[Array]:
        d_values = [_product([d_y, factor], ctx) for factor in (gate, complement)[: len(values)]]
        return [*d_values, _product([d_y, gate, complement, difference], ctx)]

    return y, backward


def _product(factors: list[Array], ctx: PassContext) -> Array:
    y = copy_of(factors[0], ctx)
    for factor in factors[1:]:
        y *= factor
    return y


MERGES: Mapping[str, Callable[[list[Array], PassContext], tuple[Array, BackwardMerge]]] = MappingProxyType(
    {"concatenate": _concatenate, "add": _add, "average": _average, "multiply": _multiply, "gate": _gate}
)
