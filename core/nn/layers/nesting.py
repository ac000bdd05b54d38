"""Planning and running the layers inside a composite."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, TypeAlias

from core.nn.arrays import Array, Backward, Shape, size
from core.nn.plan import Plan, ShapeMismatch, Views
from core.nn.step.context import PassContext

Path: TypeAlias = tuple[str | int, ...]
"""The place of a layer in the spec of its composite, such as `("layers", 0)`."""

MAX_LAYERS = 10_000
"""The most layers in a composite, so that planning takes a moment."""
MAX_ROW_NUMBERS = 1 << 62
"""The most numbers in a row that a layer emits. More fits no machine, and integers that grow from layer to layer would
take long to multiply and to print."""


class Child(Protocol):
    """Interface of a layer that a composite uses."""

    @property
    def type(self) -> str:
        """The layer's name in a spec."""

    def plan(self, shape: Shape) -> Plan:
        """Return the plan for rows of this shape."""

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """Return the outputs and the backward pass."""


def plan_child(layer: Child, shape: Shape, name: str, *path: str | int) -> Plan:
    """Return the plan of a layer at `path`; a `ShapeMismatch` says its name and path."""
    try:
        plan = layer.plan(shape)
        if size(plan.output_shape) > MAX_ROW_NUMBERS:
            raise ShapeMismatch("emits rows of more than 2⁶² numbers: make it smaller")
    except ShapeMismatch as error:
        raise error.within(f"{name} ({layer.type})", *path) from None
    return plan


def limit_layers(plans: Iterable[Plan]) -> Iterator[Plan]:
    """Yield the plans; raise `ShapeMismatch` as soon as they have more than `MAX_LAYERS` layers together."""
    layers = 0
    for plan in plans:
        layers += plan.layers
        if layers > MAX_LAYERS:
            raise ShapeMismatch(f"gets more than {MAX_LAYERS:,} layers to plan: leave some out")
        yield plan


def forward_branches(
    branches: Sequence[Child], x: Array, views: Views, ctx: PassContext
) -> tuple[list[Array], list[Backward]]:
    """Run branches on the same input and mask; a branch that needs no gradient gets an identity as backward pass."""
    outputs: list[Array] = []
    backwards: list[Backward] = []
    mask = ctx.mask
    for layer, view in zip(branches, views.parts, strict=True):
        y, backward = layer.forward(x, view, ctx)
        ctx.mask = mask
        outputs.append(y)
        backwards.append(backward if needs_backward(view, ctx) else _identity)
    return outputs, backwards


def needs_backward(views: Views, ctx: PassContext) -> bool:
    """Return whether a layer with these views has a gradient to compute in this pass."""
    return ctx.training and (views.learns or views.input_gradient)


def _identity(gradient: Array) -> Array:
    return gradient


def all_gradients(views: Views) -> Iterator[Array]:
    """Yield the gradients of a layer and of the layers inside it."""
    yield from views.gradients.values()
    for part in views.parts:
        yield from all_gradients(part)


def reversed_steps(output: Array) -> Array:
    """Return a sequence with its steps reversed, and an output without steps as it is."""
    return output[:, ::-1] if output.ndim > 2 else output
