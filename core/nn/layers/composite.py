"""Layers made of layers. A composite has the shape of its parts, so that nets are built without naming nodes.

The union of all layers stands here, since a composite may hold any of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal, TypeAlias

import numpy as np
from annotated_types import Ge, Le, MinLen

from core.nn.arrays import Array, Backward, Shape, chained, size
from core.nn.layers.activation import ActivationLayer
from core.nn.layers.attention import MultiHeadAttention
from core.nn.layers.augmentation import Augmentation
from core.nn.layers.convolution import Conv1D, Conv2D
from core.nn.layers.dense import Dense
from core.nn.layers.depthwise import Depthwise
from core.nn.layers.dropout import Noise
from core.nn.layers.embedding import Embedding
from core.nn.layers.gating import Gating
from core.nn.layers.masking import Masking
from core.nn.layers.merging import MERGES, Merge, added, copied, summed
from core.nn.layers.normalization import Normalization
from core.nn.layers.pooling import Pooling
from core.nn.layers.positional import Positions
from core.nn.layers.recurrent import Recurrent
from core.nn.layers.reshaping import Shaping
from core.nn.layers.resizing import Bordering
from core.nn.layers.transposed import Transposed
from core.nn.plan import Plan, ShapeMismatch, Views
from core.nn.step.context import PassContext
from core.nn.tagged_union import Tagged


@dataclass(frozen=True, kw_only=True, slots=True)
class Sequential:
    """One layer after the other."""

    type: Literal["sequential"] = "sequential"
    layers: Annotated[tuple[Layer, ...], MinLen(1)]
    """The layers, from the input to the output."""
    trainable: bool = True
    """Whether anything in it learns; if not, all of it is as if it were not trainable itself."""

    def children(self) -> Iterator[tuple[Path, Layer]]:
        """The layers, each with its place in the spec."""
        return ((("layers", position), layer) for position, layer in enumerate(self.layers))

    def plan(self, shape: Shape) -> Plan:
        """Each layer's plan for what the one before it emits."""
        parts = tuple(_few(self._plans(shape)))
        return Plan(parts[-1].output_shape, parts=parts).frozen_unless(self.trainable)

    def _plans(self, shape: Shape) -> Iterator[Plan]:
        for position, layer in enumerate(self.layers):
            plan = _planned(layer, shape, f"layer {position + 1}", "layers", position)
            shape = plan.output_shape
            yield plan

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """Forwards through the layers in order; backwards by the chain rule, in reverse, to the first that learns."""
        chain = []
        for layer, view in zip(self.layers, views.parts, strict=True):
            x, backward = layer.forward(x, view, ctx)
            ctx.keep_mask(x)
            if ctx.training and (view.learns or view.input_gradient):
                chain.append(backward)
            del backward  # and what it keeps, where nobody will call it
        return x, chained(chain)


@dataclass(frozen=True, kw_only=True, slots=True)
class Residual:
    """`y = x + f(x)`, or `y = p(x) + f(x)` where f emits another shape (He et al. 2015, eq. 1 and 2)."""

    type: Literal["residual"] = "residual"
    layer: Layer
    """The layer f, such as a sequential."""
    projection: Layer | None = None
    """The layer p, such as a conv2d with a kernel of 1; left out: x as it is."""
    trainable: bool = True
    """Whether anything in it learns; if not, all of it is as if it were not trainable itself."""

    def children(self) -> Iterator[tuple[Path, Layer]]:
        """Its layer and its projection, each with its place in the spec."""
        yield ("layer",), self.layer
        if self.projection is not None:
            yield ("projection",), self.projection

    def plan(self, shape: Shape) -> Plan:
        """Both parts' plans, which have to emit the same shape."""
        parts = tuple(_planned(layer, shape, "its layer", *path) for path, layer in self.children())
        output, beside = parts[0].output_shape, parts[1].output_shape if self.projection else shape
        if output != beside:
            raise ShapeMismatch(f"gets {beside} to add to {output}: add a projection that emits the same shape")
        plan = Plan(
            output, parts=parts, flops=size(output), activation_size=3 * size(output) + size(shape), order="abreast"
        )
        return plan.frozen_unless(self.trainable)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """`∂x` is the sum of what comes back through f and past it."""
        branches = [layer for _, layer in self.children()]
        outputs, backwards = _abreast(branches, x, views, ctx)
        y: Array = ctx.empty(outputs[0].shape)
        np.add(outputs[0], outputs[1] if self.projection else x, out=y)
        ctx.keep_mask(y)

        def backward(d_y: Array) -> Array:
            gradients = [step_back(copied(d_y, ctx)) for step_back in backwards]
            past = [] if self.projection else [d_y]
            return added([*gradients, *past]) if views.input_gradient else d_y

        return y, backward


@dataclass(frozen=True, kw_only=True, slots=True)
class Parallel:
    """Branches that get the same input, and their outputs put together (Szegedy et al. 2014).

    A linear `activation` is a branch that passes its input on: with `concatenate` it is the skip of a U-Net.
    """

    type: Literal["parallel"] = "parallel"
    branches: Annotated[tuple[Layer, ...], MinLen(1)]
    """The branches, such as sequentials."""
    merge: Merge | Literal["gate"] = "concatenate"
    """How outputs become one: along the last axis, or number by number. With `gate` the last branch g says how much of
    the first is let through, `σ(g) · a`, and where there are three, how much of the second takes the place of the rest,
    `σ(g) · a + (1 − σ(g)) · b` (Srivastava et al. 2015, eq. 3)."""
    trainable: bool = True
    """Whether anything in it learns; if not, all of it is as if it were not trainable itself."""

    def children(self) -> Iterator[tuple[Path, Layer]]:
        """The branches, each with its place in the spec."""
        return ((("branches", position), branch) for position, branch in enumerate(self.branches))

    def plan(self, shape: Shape) -> Plan:
        """Each branch's plan; outputs have to be of one shape, up to the last axis where they are concatenated."""
        if self.merge == "gate" and len(self.branches) not in {2, 3}:
            raise ShapeMismatch(f"gets {len(self.branches)} branches to gate: give it one or two, and the gate")
        parts = tuple(_few(_planned(layer, shape, f"branch {path[-1]}", *path) for path, layer in self.children()))
        shapes = [part.output_shape for part in parts]
        if self.merge == "concatenate":
            if len({one[:-1] for one in shapes}) > 1 or not all(shapes):
                raise ShapeMismatch(f"gets {shapes} to concatenate: let all axes but the last be the same")
            output: Shape = (*shapes[0][:-1], sum(one[-1] for one in shapes))
        else:
            if len(set(shapes)) > 1:
                raise ShapeMismatch(f"gets {shapes} to {self.merge}: let all branches emit the same shape")
            output = shapes[0]
        work = sum(map(size, shapes))
        plan = Plan(output, parts=parts, flops=work, activation_size=3 * work + 2 * size(shape), order="abreast")
        return plan.frozen_unless(self.trainable)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """`∂x` is the sum of what comes back through the branches."""
        outputs, backwards = _abreast(self.branches, x, views, ctx)
        y, shares = MERGES[self.merge](outputs, ctx)
        ctx.keep_mask(y)

        def backward(d_y: Array) -> Array:
            gradients = [step_back(d) for step_back, d in zip(backwards, shares(d_y), strict=True)]
            return added(gradients) if views.input_gradient else d_y

        return y, backward


@dataclass(frozen=True, kw_only=True, slots=True)
class Mixture:
    """Branches, each of them an expert, and a gate that says how much each row heeds them (Jacobs et al. 1991).

    `y = Σ pᵢ · fᵢ(x)` with `p = softmax(gate(x))`.
    """

    type: Literal["mixture"] = "mixture"
    branches: Annotated[tuple[Layer, ...], MinLen(2)]
    """The experts, which emit one shape."""
    gate: Layer
    """What emits one number for each expert, such as a dense, after a flatten or a pooling where x has several axes."""
    trainable: bool = True
    """Whether anything in it learns; if not, all of it is as if it were not trainable itself."""

    def children(self) -> Iterator[tuple[Path, Layer]]:
        """The gate and the branches, each with its place in the spec."""
        yield ("gate",), self.gate
        yield from ((("branches", position), branch) for position, branch in enumerate(self.branches))

    def plan(self, shape: Shape) -> Plan:
        """The plans of the gate and of the branches."""
        gate, *parts = _few(_planned(layer, shape, f"its {path[0]}", *path) for path, layer in self.children())
        shapes = {part.output_shape for part in parts}
        if len(shapes) > 1:
            raise ShapeMismatch(f"gets {sorted(shapes)} to mix: let all branches emit the same shape")
        if gate.output_shape != (len(parts),):
            wanted = f"make it {(len(parts),)}, a number for each branch"
            raise ShapeMismatch(f"gets {gate.output_shape} from its gate: {wanted}")
        output = parts[0].output_shape
        activation_size = (2 * len(parts) + 2) * size(output) + 6 * len(parts) + 2 * size(shape)
        plan = Plan(
            output,
            parts=(gate, *parts),
            flops=2 * len(parts) * size(output),
            activation_size=activation_size,
            order="abreast",
        )
        return plan.frozen_unless(self.trainable)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """`∂fᵢ = pᵢ · ∂y`, and with `hᵢ = Σ ∂y · fᵢ` the gate's `∂zᵢ = pᵢ · (hᵢ − Σ pⱼ · hⱼ)`."""
        (z, *outputs), backwards = _abreast((self.gate, *self.branches), x, views, ctx)
        each: Array = ctx.empty((len(x), 1))
        p = np.subtract(z, np.maximum.reduce(z, axis=1, keepdims=True, out=each), out=ctx.empty(z.shape))
        np.exp(p, out=p)
        p /= np.add.reduce(p, axis=1, keepdims=True, out=each)
        heed = p.T.reshape(len(outputs), len(x), *(1,) * (outputs[0].ndim - 1))
        y = summed([np.multiply(part, f, out=ctx.empty(f.shape)) for part, f in zip(heed, outputs, strict=True)], ctx)
        ctx.keep_mask(y)

        def backward(d_y: Array) -> Array:
            d_z: Array = ctx.empty(z.shape)
            product: Array = ctx.empty(d_y.shape)
            for turn, f in enumerate(outputs):
                np.multiply(d_y, f, out=product)
                np.add.reduce(product.reshape(len(x), -1), axis=1, out=d_z[:, turn])
            heeded = np.multiply(p, d_z, out=ctx.empty(z.shape))
            d_z -= np.add.reduce(heeded, axis=1, keepdims=True, out=each)
            d_z *= p
            gradients = [backwards[0](d_z)]
            for part, back in zip(heed, backwards[1:], strict=True):
                gradients.append(back(np.multiply(d_y, part, out=ctx.empty(d_y.shape))))
            return added(gradients) if views.input_gradient else d_y

        return y, backward


@dataclass(frozen=True, kw_only=True, slots=True)
class Repeat:
    """A layer n times, one after the other: n copies, or one that gets its own output again."""

    type: Literal["repeat"] = "repeat"
    layer: Layer
    """What is repeated, such as a residual."""
    n: Annotated[int, Ge(1), Le(1000)]
    """How often."""
    shared: bool = False
    """Whether all have the same weights (Dehghani et al. 2018); their layer then has to emit the shape that it gets."""
    trainable: bool = True
    """Whether anything in it learns; if not, all of it is as if it were not trainable itself."""

    def children(self) -> Iterator[tuple[Path, Layer]]:
        """The copies, all at one place in the spec."""
        return ((("layer",), self.layer) for _ in range(1 if self.shared else self.n))

    def plan(self, shape: Shape) -> Plan:
        """The plans of all copies, or one for all."""
        plan = self._plan_shared(shape) if self.shared else self._plan_copies(shape)
        return plan.frozen_unless(self.trainable)

    def _plan_copies(self, shape: Shape) -> Plan:
        parts: list[Plan] = []
        before: Shape | None = None
        for _ in range(self.n):
            parts.append(parts[-1] if shape == before else _planned(self.layer, shape, "its layer", "layer"))
            if len(parts) == 1 and self.n * parts[0].layers > MOST_PARTS:
                raise ShapeMismatch(f"gets more than {MOST_PARTS:,} layers to plan: repeat less often")
            before, shape = shape, parts[-1].output_shape
        return Plan(shape, parts=tuple(parts))

    def _plan_shared(self, shape: Shape) -> Plan:
        part = _planned(self.layer, shape, "its layer", "layer")
        if self.n > 1 and part.output_shape != shape:
            raise ShapeMismatch(
                f"gets {shape} and would then get {part.output_shape}: let its layer emit the shape that it gets"
            )
        once = Plan(shape, parts=(part.times(self.n),), scratch=2 * part.parameters)
        return replace(once, output_shape=part.output_shape, order="loop" if self.n > 1 else "chain")

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """The chain rule through all copies; gradients of shared weights add up."""
        chain: list[Backward] = []
        for turn in range(self.n):
            view = views.parts[0 if self.shared else turn]
            x, backward = self.layer.forward(x, view, ctx)
            ctx.keep_mask(x)
            if ctx.training and (self.shared or view.learns or view.input_gradient):
                chain.append(backward)
        slopes = list(_gradients(views)) if self.shared and self.n > 1 else []

        def backward_through(gradient: Array) -> Array:
            totals = [ctx.empty(slope.shape) for slope in slopes]
            for total in totals:
                total.fill(0)
            while chain:
                gradient = chain.pop()(gradient)
                for total, slope in zip(totals, slopes, strict=True):
                    total += slope
            for total, slope in zip(totals, slopes, strict=True):
                np.copyto(slope, total)
            return gradient

        return x, backward_through


@dataclass(frozen=True, kw_only=True, slots=True)
class TimeDistributed:
    """The same layer at each step of a sequence: `(batch, steps, …)`."""

    type: Literal["time_distributed"] = "time_distributed"
    layer: Layer
    """What is done at each step."""
    trainable: bool = True
    """Whether anything in it learns; if not, all of it is as if it were not trainable itself."""

    def children(self) -> Iterator[tuple[Path, Layer]]:
        """The layer, with its place in the spec."""
        yield ("layer",), self.layer

    def plan(self, shape: Shape) -> Plan:
        """The layer's plan for one step, as often as there are steps."""
        if not shape:
            raise ShapeMismatch("needs (steps, …), and gets a single number a row: nest each row in a list")
        part = _planned(self.layer, shape[1:], "its layer", "layer")
        plan = Plan((shape[0], *part.output_shape), parts=(part.times(shape[0]),))
        return plan.frozen_unless(self.trainable)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """All steps are rows of one batch."""
        batch, steps = x.shape[:2]
        mask, ctx.mask = ctx.mask, None
        y, backward = self.layer.forward(x.reshape(batch * steps, *x.shape[2:]), views.parts[0], ctx)
        ctx.mask = mask
        given, emitted = x.shape, y.shape

        def backward_through(d_y: Array) -> Array:
            d_x = backward(d_y.reshape(emitted))
            return d_x.reshape(given) if views.input_gradient else d_x

        return y.reshape(batch, steps, *y.shape[1:]), backward_through


@dataclass(frozen=True, kw_only=True, slots=True)
class Bidirectional:
    """A layer along a sequence and a copy of it that goes backwards (Schuster & Paliwal 1997).

    Where they emit a number for each step, both outputs of a step stand side by side.
    """

    type: Literal["bidirectional"] = "bidirectional"
    layer: Layer
    """What goes both ways, such as an lstm."""
    merge_mode: Merge = "concatenate"
    """How both outputs become one: along the last axis, or number by number."""
    trainable: bool = True
    """Whether anything in it learns; if not, all of it is as if it were not trainable itself."""

    def children(self) -> Iterator[tuple[Path, Layer]]:
        """Both copies, at one place in the spec."""
        return ((("layer",), self.layer) for _ in range(2))

    def plan(self, shape: Shape) -> Plan:
        """The layer's plan, twice."""
        if len(shape) < 2:
            raise ShapeMismatch(f"needs (steps, features), and gets {shape}: put an embedding or a reshape before it")
        part = _planned(self.layer, shape, "its layer", "layer")
        output = part.output_shape
        if not output:
            raise ShapeMismatch("gets a single number from its layer: let it emit (units,) or (steps, units)")
        both = (*output[:-1], 2 * output[-1]) if self.merge_mode == "concatenate" else output
        activation_size = 6 * size(output) + 2 * size(shape)
        plan = Plan(both, parts=(part, part), flops=2 * size(output), activation_size=activation_size, order="abreast")
        return plan.frozen_unless(self.trainable)

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """One copy gets x, the other x in reverse, and what it emits and what comes back are turned round again."""
        mask = ctx.mask
        ahead, back_ahead = self.layer.forward(x, views.parts[0], ctx)
        ctx.mask = None if mask is None else mask[:, ::-1]
        behind, back_behind = self.layer.forward(x[:, ::-1], views.parts[1], ctx)
        ctx.mask = mask
        y, shares = MERGES[self.merge_mode]([ahead, _turned(behind)], ctx)
        ctx.keep_mask(y)

        def backward(d_y: Array) -> Array:
            d_ahead, d_behind = shares(d_y)
            d_ahead, d_behind = back_ahead(d_ahead), back_behind(_turned(d_behind))
            return added([d_ahead, d_behind[:, ::-1]]) if views.input_gradient else d_y

        return y, backward


Path: TypeAlias = tuple[str | int, ...]
MOST_PARTS = 10_000
MOST_NUMBERS = 1 << 62
"""In one row. More fits no machine, and what grows from layer to layer would take long to multiply and to say."""


def _planned(layer: Layer, shape: Shape, name: str, *path: str | int) -> Plan:
    try:
        plan = layer.plan(shape)
        if size(plan.output_shape) > MOST_NUMBERS:
            raise ShapeMismatch("emits rows of more than 2⁶² numbers: make it smaller")
    except ShapeMismatch as error:
        raise error.within(f"{name} ({layer.type})", *path) from None
    return plan


def _few(plans: Iterable[Plan]) -> Iterator[Plan]:
    """The plans one by one, while they have no more layers together than can be planned in a moment."""
    layers = 0
    for plan in plans:
        layers += plan.layers
        if layers > MOST_PARTS:
            raise ShapeMismatch(f"gets more than {MOST_PARTS:,} layers to plan: leave some out")
        yield plan


def _abreast(
    layers: Sequence[Layer], x: Array, views: Views, ctx: PassContext
) -> tuple[list[Array], list[Callable[[Array], Array]]]:
    outputs, backwards, mask = [], [], ctx.mask
    for layer, view in zip(layers, views.parts, strict=True):
        y, backward = layer.forward(x, view, ctx)
        ctx.mask = mask
        outputs.append(y)
        wanted = ctx.training and (view.learns or view.input_gradient)
        backwards.append(backward if wanted else _nothing)
    return outputs, backwards


def _turned(sequence: Array) -> Array:
    """The steps in reverse; what has no steps as it is."""
    return sequence[:, ::-1] if sequence.ndim > 2 else sequence


def _nothing(gradient: Array) -> Array:
    return gradient


def _gradients(views: Views) -> Iterator[Array]:
    yield from views.gradients.values()
    for part in views.parts:
        yield from _gradients(part)


Layer: TypeAlias = Annotated[
    Dense
    | ActivationLayer
    | Shaping
    | Noise
    | Augmentation
    | Normalization
    | Embedding
    | Masking
    | Recurrent
    | Conv1D
    | Conv2D
    | Transposed
    | Depthwise
    | Pooling
    | Bordering
    | Gating
    | Positions
    | MultiHeadAttention
    | Sequential
    | Residual
    | Parallel
    | Mixture
    | Repeat
    | TimeDistributed
    | Bidirectional,
    Tagged(),
]
