"""Layers that only look at the same numbers in another shape."""

from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

import numpy as np
from annotated_types import Ge, Le, Len

from core.nn.arrays import MOST, Array, Backward, Shape, size
from core.nn.plan import Plan, ShapeMismatch, Views
from core.nn.step.context import PassContext


def _as(shape: Shape, x: Array) -> tuple[Array, Backward]:
    given = x.shape
    return x.reshape(len(x), *shape), lambda d_y: d_y.reshape(given)


@dataclass(frozen=True, kw_only=True, slots=True)
class Flatten:
    """All numbers of a row in one line: `(batch, a, b, …)` → `(batch, a·b·…)`."""

    type: Literal["flatten"] = "flatten"

    def plan(self, shape: Shape) -> Plan:
        """No weights, no work."""
        return Plan((size(shape),))

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """The gradient takes the way back: the same numbers in the input's shape."""
        return _as((size(x.shape[1:]),), x)


@dataclass(frozen=True, kw_only=True, slots=True)
class Reshape:
    """The numbers of a row in another shape of the same size."""

    type: Literal["reshape"] = "reshape"
    target_shape: Annotated[tuple[Annotated[int, Ge(-1), Le(MOST)], ...], Len(1, 8)]
    """The new shape of a row; one length may be -1, and is worked out from the others."""

    def plan(self, shape: Shape) -> Plan:
        """No weights, no work."""
        return Plan(self._resolve(shape))

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """The gradient takes the way back: the same numbers in the input's shape."""
        return _as(self._resolve(x.shape[1:]), x)

    def _resolve(self, shape: Shape) -> Shape:
        known = size(tuple(length for length in self.target_shape if length != -1))
        open_ends = self.target_shape.count(-1)
        fits = size(shape) % known == 0 if open_ends == 1 and known > 0 else open_ends == 0 and known == size(shape)
        if not fits or 0 in self.target_shape:
            raise ShapeMismatch(
                f"gets {shape}, {size(shape)} numbers, which do not fill {self.target_shape}: "
                "choose lengths whose product is the same (one of them may be -1)"
            )
        return tuple(size(shape) // known if length == -1 else length for length in self.target_shape)


@dataclass(frozen=True, kw_only=True, slots=True)
class Permute:
    """The axes of a row in another order."""

    type: Literal["permute"] = "permute"
    dims: Annotated[tuple[Annotated[int, Ge(1)], ...], Len(1, 8)]
    """The old number of each new axis, counted from 1: `[2, 1]` exchanges two."""

    def plan(self, shape: Shape) -> Plan:
        """No weights, no work but to copy."""
        if sorted(self.dims) != list(range(1, len(shape) + 1)):
            raise ShapeMismatch(
                f"gets {shape}, {len(shape)} axes, and dims {self.dims}: name each of 1 to {len(shape)} once"
            )
        return Plan(tuple(shape[axis - 1] for axis in self.dims), activation_size=2 * size(shape))

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """The gradient takes the way back. A mask stands while the steps do."""
        if self.dims[0] != 1:
            ctx.mask = None
        there = (0, *self.dims)
        back = tuple(there.index(axis) for axis in range(x.ndim))
        return _moved(x, there, ctx), lambda d_y: _moved(d_y, back, ctx)


def _moved(x: Array, axes: Shape, ctx: PassContext) -> Array:
    moved = x.transpose(axes)
    y: Array = ctx.empty(moved.shape)
    np.copyto(y, moved)
    return y


@dataclass(frozen=True, kw_only=True, slots=True)
class RepeatVector:
    """A row several times, as a sequence: `(batch, features)` → `(batch, n, features)`."""

    type: Literal["repeat_vector"] = "repeat_vector"
    n: Annotated[int, Ge(1), Le(MOST)]
    """How often."""

    def plan(self, shape: Shape) -> Plan:
        """No weights."""
        if len(shape) != 1:
            raise ShapeMismatch(f"needs (features,), and gets {shape}: put a flatten before it")
        return Plan((self.n, *shape), flops=self.n * size(shape), activation_size=(self.n + 1) * size(shape))

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """The gradients of the copies add up."""
        y: Array = ctx.empty((len(x), self.n, x.shape[-1]))
        np.copyto(y, x[:, None])
        given = x.shape
        return y, lambda d_y: np.add.reduce(d_y, axis=1, out=ctx.empty(given))


@dataclass(frozen=True, kw_only=True, slots=True)
class Rescaling:
    """`y = scale · x + offset`, such as `1/255` for pixels: any shape in, the same shape out."""

    type: Literal["rescaling"] = "rescaling"
    scale: float
    """The factor."""
    offset: float = 0.0
    """What is added."""

    def plan(self, shape: Shape) -> Plan:
        """No weights."""
        return Plan(shape, flops=2 * size(shape), activation_size=size(shape))

    def forward(self, x: Array, views: Views, ctx: PassContext) -> tuple[Array, Backward]:
        """`∂x = scale · ∂y`."""
        y: Array = ctx.empty(x.shape)
        np.multiply(x, self.scale, out=y)
        y += self.offset
        return y, lambda d_y: np.multiply(d_y, self.scale, out=d_y)


Shaping: TypeAlias = Flatten | Reshape | Permute | RepeatVector | Rescaling
