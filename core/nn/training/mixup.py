"""Rows between rows: a net that learns mixtures of two examples is smoother between them."""

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from annotated_types import Gt, Le

from core.nn.arrays import Array, Shape, size
from core.nn.step.context import PassContext


@dataclass(frozen=True, kw_only=True, slots=True)
class Mixup:
    """`λ · x + (1 − λ) · x'`, and the targets likewise, with λ from Beta(α, α) (Zhang et al. 2018, eq. 1).

    x' are the rows of the same batch in another order; both it and λ are drawn for each batch.
    """

    alpha: Annotated[float, Gt(0), Le(1000)] = 0.2
    """α: below 1 most mixtures are almost one of their rows, at 1 any λ is as likely, above it most are near a half."""

    def mix(
        self, x: Array, targets: Any, output_shape: Shape, ctx: PassContext, rng: np.random.Generator
    ) -> tuple[Array, Any]:
        """Mixtures of `x` `(batch, …)` and of targets as a loss takes them; class numbers become shares.

        What the rows count is mixed as well. What comes in is not overwritten.
        """
        share, order = float(rng.beta(self.alpha, self.alpha)), rng.permutation(len(x))
        if targets.dtype.kind == "i":
            targets = _shares(targets, output_shape[-1], ctx)
        if ctx.sample_weight is not None:
            ctx.sample_weight = _mixed(ctx.sample_weight, order, share, ctx)
        return _mixed(x, order, share, ctx), _mixed(targets, order, share, ctx)


def mixed_bytes(rows: int, input_shape: Shape, output_shape: Shape) -> int:
    """Return the memory for a batch: inputs, targets and weights, mixed and original, and one-hot classes."""
    return 4 * rows * (2 * size(input_shape) + 3 * size(output_shape) + 2)


def _mixed(rows: Array, order: Any, share: float, ctx: PassContext) -> Array:
    others = np.take(rows, order, axis=0, out=ctx.empty(rows.shape, rows.dtype), mode="clip")
    np.multiply(others, 1 - share, out=others)
    own = np.multiply(rows, share, out=ctx.empty(rows.shape, rows.dtype))
    return np.add(own, others, out=own)


def _shares(classes: Any, count: int, ctx: PassContext) -> Any:
    """Class numbers `(batch, …)` as shares `(batch, …, classes)`."""
    shares = ctx.empty((*classes.shape, count))
    shares.fill(0)
    np.put_along_axis(shares, classes[..., None], 1, axis=-1)
    return shares
