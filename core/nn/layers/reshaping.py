"""Layers that change the shape or the scale of their input and have no weights."""

from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

import numpy as np
from annotated_types import Ge, Le, Len

from core.nn.arrays import MAX_AXIS_LENGTH, Array, Backward, Shape, size
from core.nn.plan import Plan, ShapeMismatch, Views
from core.nn.step.context import PassContext


@dataclass(frozen=True, kw_only=True, slots=True)
class Flatten:
    """Flatten each row into a vector: `(batch, a, b, …)` → `(batch, a·b·…)`."""

    type: Literal["flatten"] = "flatten"

    def plan(self, shape: Shape) -> Plan:
        """No weights, no work."""
        return Plan((size(shape),))

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """`∂x` is `∂y` in the shape of the input."""
        return _reshaped(x, (size(x.shape[1:]),))


@dataclass(frozen=True, kw_only=True, slots=True)
class Reshape:
    """Reshape each row to another shape of the same size."""

    type: Literal["reshape"] = "reshape"
    target_shape: Annotated[tuple[Annotated[int, Ge(-1), Le(MAX_AXIS_LENGTH)], ...], Len(1, 8)]
    """The new shape of a row; one length may be -1 and is inferred from the others."""

    def plan(self, shape: Shape) -> Plan:
        """No weights, no work."""
        return Plan(self._resolve(shape))

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """`∂x` is `∂y` in the shape of the input."""
        return _reshaped(x, self._resolve(x.shape[1:]))

    def _resolve(self, shape: Shape) -> Shape:
        known = size(tuple(length for length in self.target_shape if length != -1))
        unknown = self.target_shape.count(-1)
        fits = size(shape) % known == 0 if unknown == 1 and known > 0 else unknown == 0 and known == size(shape)
        if not fits or 0 in self.target_shape:
            raise ShapeMismatch(
                f"gets {shape}, {size(shape)} numbers, which do not fill {self.target_shape}: "
                "choose lengths whose product is the same (one of them may be -1)"
            )
        return tuple(size(shape) // known if length == -1 else length for length in self.target_shape)


def _reshaped(x: Array, shape: Shape) -> tuple[Array, Backward]:
    input_shape = x.shape
    return x.reshape(len(x), *shape), lambda d_y: d_y.reshape(input_shape)


@dataclass(frozen=True, kw_only=True, slots=True)
class Permute:
    """Permute the axes of each row."""

    type: Literal["permute"] = "permute"
    dims: Annotated[tuple[Annotated[int, Ge(1)], ...], Len(1, 8)]
    """For each new axis the number of the old one, counted from 1: `[2, 1]` swaps two axes."""

    def plan(self, shape: Shape) -> Plan:
        """No weights; only a copy."""
        if sorted(self.dims) != list(range(1, len(shape) + 1)):
            raise ShapeMismatch(
                f"gets {shape}, {len(shape)} axes, but has dims {self.dims}: name each of 1 to {len(shape)} once"
            )
        return Plan(tuple(shape[axis - 1] for axis in self.dims), activation_size=2 * size(shape))

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """`∂x` is `∂y` with the inverse permutation. The mask is dropped if the first axis moves."""
        if self.dims[0] != 1:
            ctx.mask = None
        axes = (0, *self.dims)
        inverse = tuple(axes.index(axis) for axis in range(x.ndim))
        return _transposed(x, axes, ctx), lambda d_y: _transposed(d_y, inverse, ctx)


def _transposed(x: Array, axes: Shape, ctx: PassContext) -> Array:
    view = x.transpose(axes)
    y: Array = ctx.empty(view.shape)
    np.copyto(y, view)
    return y


@dataclass(frozen=True, kw_only=True, slots=True)
class RepeatVector:
    """Repeat a vector n times as a sequence: `(batch, features)` → `(batch, n, features)`."""

    type: Literal["repeat_vector"] = "repeat_vector"
    n: Annotated[int, Ge(1), Le(MAX_AXIS_LENGTH)]
    """The number of repetitions."""

    def plan(self, shape: Shape) -> Plan:
        """No weights."""
        if len(shape) != 1:
            raise ShapeMismatch(f"needs (features,) but gets {shape}: put a flatten before it")
        return Plan((self.n, *shape), flops=self.n * size(shape), activation_size=(self.n + 1) * size(shape))

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """`∂x = Σ ∂y` over the repetitions."""
        y: Array = ctx.empty((len(x), self.n, x.shape[-1]))
        np.copyto(y, x[:, None])
        input_shape = x.shape
        return y, lambda d_y: np.add.reduce(d_y, axis=1, out=ctx.empty(input_shape))


@dataclass(frozen=True, kw_only=True, slots=True)
class Rescaling:
    """Rescale the input: `y = scale · x + offset`, for an input of any shape; a scale of 1/255 suits pixels."""

    type: Literal["rescaling"] = "rescaling"
    scale: float
    """The factor."""
    offset: float = 0.0
    """The number that is added."""

    def plan(self, shape: Shape) -> Plan:
        """No weights."""
        return Plan(shape, flops=2 * size(shape), activation_size=size(shape))

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """`∂x = scale · ∂y`."""
        y: Array = ctx.empty(x.shape)
        np.multiply(x, self.scale, out=y)
        y += self.offset
        return y, lambda d_y: np.multiply(d_y, self.scale, out=d_y)


Reshaping: TypeAlias = Flatten | Reshape | Permute | RepeatVector | Rescaling
