"""Composites: layers made of layers, so that a network is a tree and needs no named nodes.

They and the union of all layers are in one file, since each refers to the other. The other layers are in `leaf.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated, Literal, TypeAlias

import numpy as np
from annotated_types import Ge, Le, Len

from core.nn.arrays import Array, Backward, Shape, chain_backward, size
from core.nn.layers.base import Trainable
from core.nn.layers.leaf import Leaf
from core.nn.layers.merging import MERGES, Merge, copy_of, merged_shape, sum_in_place, sum_of
from core.nn.layers.nesting import (
    MAX_LAYERS,
    Path,
    all_gradients,
    forward_branches,
    limit_layers,
    needs_backward,
    plan_child,
    reversed_steps,
)
from core.nn.plan import Plan, ShapeMismatch, Views
from core.nn.step.context import PassContext
from core.nn.tagged_union import Tagged


@dataclass(frozen=True, kw_only=True)
class Composite(Trainable):
    """A layer made of layers."""

    __slots__ = ()

    trainable: bool = True
    """Whether the layers inside are trained; if not, all of them are frozen."""


@dataclass(frozen=True, kw_only=True)
class Wrapper(Composite):
    """A layer made of one layer."""

    __slots__ = ()

    layer: Layer
    """The layer inside."""

    def children(self) -> Iterator[tuple[Path, Layer]]:
        """Yield the layer with its path."""
        yield ("layer",), self.layer


@dataclass(frozen=True, kw_only=True, slots=True)
class Sequential(Composite):
    """Layers in sequence: each gets the output of the one before it."""

    type: Literal["sequential"] = "sequential"
    layers: Annotated[tuple[Layer, ...], Len(1, MAX_LAYERS)]
    """The layers, from the input to the output."""

    def children(self) -> Iterator[tuple[Path, Layer]]:
        """Yield the layers with their paths."""
        return ((("layers", position), layer) for position, layer in enumerate(self.layers))

    def plan(self, shape: Shape) -> Plan:
        """Those of the layers, each for the output shape of the one before it."""
        parts = tuple(limit_layers(self._plans(shape)))
        plan = Plan(parts[-1].output_shape, parts=parts, masked_value=parts[0].masked_value)
        return plan.frozen_unless(self.trainable)

    def _plans(self, shape: Shape) -> Iterator[Plan]:
        for position, layer in enumerate(self.layers):
            plan = plan_child(layer, shape, f"layer {position + 1}", "layers", position)
            shape = plan.output_shape
            yield plan

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """Forward through the layers in order; backward by the chain rule in reverse, to the first trainable one."""
        chain = []
        for layer, view in zip(self.layers, views.parts, strict=True):
            x, backward = layer.forward(x, view, ctx)
            ctx.keep_mask(x)
            if needs_backward(view, ctx):
                chain.append(backward)
            del backward  # frees its arrays, where nobody will call it, before the next layer allocates its own
        return x, chain_backward(chain)


@dataclass(frozen=True, kw_only=True, slots=True)
class Residual(Wrapper):
    """Residual connection: `y = x + f(x)`, or `y = p(x) + f(x)` (He et al. 2015, eq. 1 and 2).

    f is the `layer`, p the `projection`, which is needed where f emits another shape.
    """

    type: Literal["residual"] = "residual"
    projection: Layer | None = None
    """The layer p, such as a conv2d with a kernel of 1; left out: the identity."""

    def children(self) -> Iterator[tuple[Path, Layer]]:
        """Yield the layer and the projection with their paths."""
        yield ("layer",), self.layer
        if self.projection is not None:
            yield ("projection",), self.projection

    def plan(self, shape: Shape) -> Plan:
        """Those of the layer and the projection, which must emit the same shape."""
        parts = tuple(plan_child(layer, shape, "its layer", *path) for path, layer in self.children())
        output, shortcut = parts[0].output_shape, parts[1].output_shape if self.projection else shape
        if output != shortcut:
            raise ShapeMismatch(f"gets {shortcut} to add to {output}: add a projection that emits the same shape")
        activation_size = 3 * size(output) + size(shape)
        plan = Plan(output, parts=parts, flops=size(output), activation_size=activation_size, order="parallel")
        return plan.frozen_unless(self.trainable)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """`∂x` is the sum of the gradients through f and through the shortcut."""
        branches = [layer for _, layer in self.children()]
        outputs, backwards = forward_branches(branches, x, views, ctx)
        y: Array = ctx.empty(outputs[0].shape)
        np.add(outputs[0], outputs[1] if self.projection else x, out=y)
        ctx.keep_mask(y)

        def backward(d_y: Array) -> Array:
            gradients = [back(copy_of(d_y, ctx)) for back in backwards]
            shortcut = [] if self.projection else [d_y]
            return sum_in_place([*gradients, *shortcut]) if views.input_gradient else d_y

        return y, backward


@dataclass(frozen=True, kw_only=True, slots=True)
class Parallel(Composite):
    """Parallel branches on the same input, whose outputs are merged (Szegedy et al. 2014).

    A linear `activation` as a branch passes the input on: with `concatenate` it is the skip connection of a U-Net.
    """

    type: Literal["parallel"] = "parallel"
    branches: Annotated[tuple[Layer, ...], Len(1, MAX_LAYERS)]
    """The branches, such as sequentials."""
    merge: Merge | Literal["gate"] = "concatenate"
    """How the outputs are merged: along the last axis, or elementwise. With `gate` the last branch g gates the first,
    `σ(g) · a`, and with three branches interpolates between two, `σ(g) · a + (1 − σ(g)) · b` (Srivastava et al. 2015,
    eq. 3)."""

    def children(self) -> Iterator[tuple[Path, Layer]]:
        """Yield the branches with their paths."""
        return ((("branches", position), branch) for position, branch in enumerate(self.branches))

    def plan(self, shape: Shape) -> Plan:
        """Those of the branches, which must emit the same shape, except for the last axis if concatenated."""
        if self.merge == "gate" and len(self.branches) not in {2, 3}:
            raise ShapeMismatch(f"gets {len(self.branches)} branches to gate: give it one or two, and the gate")
        plans = (plan_child(layer, shape, f"branch {path[-1]}", *path) for path, layer in self.children())
        parts = tuple(limit_layers(plans))
        shapes = [part.output_shape for part in parts]
        numbers = sum(map(size, shapes))
        plan = Plan(
            merged_shape(shapes, self.merge),
            parts=parts,
            flops=numbers,
            activation_size=3 * numbers + 2 * size(shape),
            order="parallel",
        )
        return plan.frozen_unless(self.trainable)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """`∂x` is the sum of the gradients through the branches."""
        outputs, backwards = forward_branches(self.branches, x, views, ctx)
        y, back_merge = MERGES[self.merge](outputs, ctx)
        ctx.keep_mask(y)

        def backward(d_y: Array) -> Array:
            gradients = [back(d) for back, d in zip(backwards, back_merge(d_y), strict=True)]
            return sum_in_place(gradients) if views.input_gradient else d_y

        return y, backward


@dataclass(frozen=True, kw_only=True, slots=True)
class Mixture(Composite):
    """Mixture of experts: a gate weights the branches for each row (Jacobs et al. 1991).

    `y = Σ pᵢ · fᵢ(x)` with `p = softmax(gate(x))`.
    """

    type: Literal["mixture"] = "mixture"
    branches: Annotated[tuple[Layer, ...], Len(2, MAX_LAYERS)]
    """The experts, which emit the same shape."""
    gate: Layer
    """The layer that emits one logit per expert: a dense, after a flatten or a pooling if x has several axes."""

    def children(self) -> Iterator[tuple[Path, Layer]]:
        """Yield the gate and the branches with their paths."""
        yield ("gate",), self.gate
        yield from ((("branches", position), branch) for position, branch in enumerate(self.branches))

    def plan(self, shape: Shape) -> Plan:
        """Those of the gate and the branches."""
        plans = (plan_child(layer, shape, f"its {path[0]}", *path) for path, layer in self.children())
        gate, *parts = limit_layers(plans)
        shapes = {part.output_shape for part in parts}
        if len(shapes) > 1:
            raise ShapeMismatch(f"gets {sorted(shapes)} to mix: let all branches emit the same shape")
        if gate.output_shape != (len(parts),):
            expected = f"let it emit {(len(parts),)}, one number per branch"
            raise ShapeMismatch(f"gets {gate.output_shape} from its gate: {expected}")
        output = parts[0].output_shape
        plan = Plan(
            output,
            parts=(gate, *parts),
            flops=2 * len(parts) * size(output),
            activation_size=(2 * len(parts) + 2) * size(output) + 6 * len(parts) + 2 * size(shape),
            order="parallel",
        )
        return plan.frozen_unless(self.trainable)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """`∂fᵢ = pᵢ · ∂y`, and with `hᵢ = Σ ∂y · fᵢ` the gate's `∂zᵢ = pᵢ · (hᵢ − Σ pⱼ · hⱼ)`."""
        (z, *outputs), (back_gate, *backwards) = forward_branches((self.gate, *self.branches), x, views, ctx)
        per_row: Array = ctx.empty((len(x), 1))
        p = np.subtract(z, np.maximum.reduce(z, axis=1, keepdims=True, out=per_row), out=ctx.empty(z.shape))
        np.exp(p, out=p)
        p /= np.add.reduce(p, axis=1, keepdims=True, out=per_row)
        weights = p.T.reshape(len(outputs), len(x), *(1,) * (outputs[0].ndim - 1))
        y = sum_of([np.multiply(w, f, out=ctx.empty(f.shape)) for w, f in zip(weights, outputs, strict=True)], ctx)
        ctx.keep_mask(y)

        def backward(d_y: Array) -> Array:
            d_z: Array = ctx.empty(z.shape)
            product: Array = ctx.empty(d_y.shape)
            for i, f in enumerate(outputs):
                np.multiply(d_y, f, out=product)
                np.add.reduce(product.reshape(len(x), -1), axis=1, out=d_z[:, i])
            expected = np.multiply(p, d_z, out=ctx.empty(z.shape))
            d_z -= np.add.reduce(expected, axis=1, keepdims=True, out=per_row)
            d_z *= p
            gradients = [back_gate(d_z)]
            for w, back in zip(weights, backwards, strict=True):
                gradients.append(back(np.multiply(d_y, w, out=ctx.empty(d_y.shape))))
            return sum_in_place(gradients) if views.input_gradient else d_y

        return y, backward


@dataclass(frozen=True, kw_only=True, slots=True)
class Repeat(Wrapper):
    """A layer repeated n times in sequence: as n copies, or as one that gets its own output."""

    type: Literal["repeat"] = "repeat"
    n: Annotated[int, Ge(1), Le(1000)]
    """The number of repetitions."""
    shared: bool = False
    """Whether all repetitions share their weights (Dehghani et al. 2018); the layer must then emit the shape that it
    gets."""

    def children(self) -> Iterator[tuple[Path, Layer]]:
        """Yield the copies, all with the same path."""
        return ((("layer",), self.layer) for _ in range(1 if self.shared else self.n))

    def plan(self, shape: Shape) -> Plan:
        """Those of all copies, or one for all."""
        plan = self._plan_shared(shape) if self.shared else self._plan_copies(shape)
        return plan.frozen_unless(self.trainable)

    def _plan_copies(self, shape: Shape) -> Plan:
        parts: list[Plan] = []
        before: Shape | None = None
        for _ in range(self.n):
            parts.append(parts[-1] if shape == before else plan_child(self.layer, shape, "its layer", "layer"))
            if len(parts) == 1 and self.n * parts[0].layers > MAX_LAYERS:
                raise ShapeMismatch(f"gets more than {MAX_LAYERS:,} layers to plan: repeat less often")
            before, shape = shape, parts[-1].output_shape
        return Plan(shape, parts=tuple(parts))

    def _plan_shared(self, shape: Shape) -> Plan:
        part = plan_child(self.layer, shape, "its layer", "layer")
        if self.n > 1 and part.output_shape != shape:
            raise ShapeMismatch(
                f"gets {shape} and would then get {part.output_shape}: let its layer emit the shape that it gets"
            )
        once = Plan(shape, parts=(part.repeated(self.n),), scratch=2 * part.parameters)
        return replace(once, output_shape=part.output_shape, order="loop" if self.n > 1 else "chain")

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """Apply the chain rule through all repetitions; the gradients of shared weights are summed."""
        chain: list[Backward] = []
        for i in range(self.n):
            view = views.parts[0 if self.shared else i]
            x, backward = self.layer.forward(x, view, ctx)
            ctx.keep_mask(x)
            if ctx.training and (self.shared or needs_backward(view, ctx)):
                chain.append(backward)
        gradients = list(all_gradients(views)) if self.shared and self.n > 1 else []

        def backward_through(d_x: Array) -> Array:
            totals = [ctx.empty(gradient.shape) for gradient in gradients]
            for total in totals:
                total.fill(0)
            while chain:
                d_x = chain.pop()(d_x)
                for total, gradient in zip(totals, gradients, strict=True):
                    total += gradient
            for total, gradient in zip(totals, gradients, strict=True):
                np.copyto(gradient, total)
            return d_x

        return x, backward_through


@dataclass(frozen=True, kw_only=True, slots=True)
class TimeDistributed(Wrapper):
    """The same layer applied to each step of a sequence, `(batch, steps, …)`."""

    type: Literal["time_distributed"] = "time_distributed"

    def plan(self, shape: Shape) -> Plan:
        """Those of the layer, which all steps share."""
        if not shape:
            raise ShapeMismatch("needs (steps, …) but gets a single number per row: nest each row in a list")
        part = plan_child(self.layer, shape[1:], "its layer", "layer")
        plan = Plan((shape[0], *part.output_shape), parts=(part.repeated(shape[0]),))
        return plan.frozen_unless(self.trainable)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """Process the steps of all rows as one batch, without a mask."""
        batch, steps = x.shape[:2]
        mask, ctx.mask = ctx.mask, None
        y, backward = self.layer.forward(x.reshape(batch * steps, *x.shape[2:]), views.parts[0], ctx)
        ctx.mask = mask
        input_shape, merged_shape = x.shape, y.shape

        def backward_through(d_y: Array) -> Array:
            d_x = backward(d_y.reshape(merged_shape))
            return d_x.reshape(input_shape) if views.input_gradient else d_x

        return y.reshape(batch, steps, *y.shape[1:]), backward_through


@dataclass(frozen=True, kw_only=True, slots=True)
class Bidirectional(Wrapper):
    """A layer along a sequence and a copy of it along the reversed sequence (Schuster & Paliwal 1997).

    If they emit sequences, that of the copy is reversed again, so that both outputs of a step are merged.
    """

    type: Literal["bidirectional"] = "bidirectional"
    merge_mode: Merge = "concatenate"
    """How both outputs are merged: along the last axis, or elementwise."""

    def children(self) -> Iterator[tuple[Path, Layer]]:
        """Yield both copies, with the same path."""
        return ((("layer",), self.layer) for _ in range(2))

    def plan(self, shape: Shape) -> Plan:
        """Those of the layer, twice."""
        if len(shape) < 2:
            raise ShapeMismatch(f"needs (steps, features) but gets {shape}: put an embedding or a reshape before it")
        part = plan_child(self.layer, shape, "its layer", "layer")
        output = part.output_shape
        if not output:
            raise ShapeMismatch("gets a single number from its layer: let it emit (units,) or (steps, units)")
        merged = (*output[:-1], 2 * output[-1]) if self.merge_mode == "concatenate" else output
        plan = Plan(
            merged,
            parts=(part, part),
            flops=2 * size(output),
            activation_size=6 * size(output) + 2 * size(shape),
            order="parallel",
        )
        return plan.frozen_unless(self.trainable)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """One copy gets x, the other x reversed; its outputs and gradients are reversed again."""
        mask = ctx.mask
        ahead, back_ahead = self.layer.forward(x, views.parts[0], ctx)
        ctx.mask = None if mask is None else mask[:, ::-1]
        behind, back_behind = self.layer.forward(x[:, ::-1], views.parts[1], ctx)
        ctx.mask = mask
        y, back_merge = MERGES[self.merge_mode]([ahead, reversed_steps(behind)], ctx)
        ctx.keep_mask(y)

        def backward(d_y: Array) -> Array:
            d_ahead, d_behind = back_merge(d_y)
            d_ahead, d_behind = back_ahead(d_ahead), back_behind(reversed_steps(d_behind))
            return sum_in_place([d_ahead, d_behind[:, ::-1]]) if views.input_gradient else d_y

        return y, backward


Layer: TypeAlias = Annotated[
    Leaf | Sequential | Residual | Parallel | Mixture | Repeat | TimeDistributed | Bidirectional, Tagged("Layer")
]
