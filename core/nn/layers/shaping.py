"""Layers that only look at the same numbers in another shape."""

from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

from annotated_types import Ge, Le, Len

from core.nn.arena import Run
from core.nn.arrays import MOST, Array, Backward, Shape, size
from core.nn.plan import Plan, ShapeMismatch, Views


def _as(shape: Shape, x: Array) -> tuple[Array, Backward]:
    return x.reshape(len(x), *shape), lambda d_y: d_y.reshape(x.shape)


@dataclass(frozen=True, kw_only=True, slots=True)
class Flatten:
    """All numbers of a row in one line: `(batch, a, b, …)` → `(batch, a·b·…)`."""

    type: Literal["flatten"] = "flatten"

    def plan(self, shape: Shape) -> Plan:
        """No weights, no work."""
        return Plan((size(shape),))

    def forward(self, x: Array, views: Views, run: Run) -> tuple[Array, Backward]:
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

    def forward(self, x: Array, views: Views, run: Run) -> tuple[Array, Backward]:
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


Shaping: TypeAlias = Flatten | Reshape
