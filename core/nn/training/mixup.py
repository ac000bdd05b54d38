"""Mixup: training on mixtures of two rows, which makes the network smoother between them."""

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from annotated_types import Gt, Le

from core.nn.arrays import Array, Shape, size
from core.nn.step.context import PassContext


@dataclass(frozen=True, kw_only=True, slots=True)
class Mixup:
    """`λ · x + (1 − λ) · x'`, and the targets likewise, with λ from Beta(α, α) (Zhang et al. 2018, eq. 1).

    x' are the rows of the same batch in another order. The order and λ are drawn for each batch.
    """

    alpha: Annotated[float, Gt(0), Le(1000)] = 0.2
    """α: below 1 most λ are near 0 or 1, at 1 all λ are equally likely, above 1 most λ are near a half."""

    def mix(
        self, x: Array, targets: Any, output_shape: Shape, ctx: PassContext, rng: np.random.Generator
    ) -> tuple[Array, Any]:
        """Return mixtures of `x` `(batch, …)` and of the encoded targets, in new arrays.

        Class numbers become probabilities `(batch, …, classes)`. The context's sample weights are mixed as well.
        """
        lam, order = float(rng.beta(self.alpha, self.alpha)), rng.permutation(len(x))
        if targets.dtype.kind == "i":
            targets = _one_hot(targets, output_shape[-1], ctx)
        if ctx.sample_weight is not None:
            ctx.sample_weight = _mixed(ctx.sample_weight, order, lam, ctx)
        return _mixed(x, order, lam, ctx), _mixed(targets, order, lam, ctx)


def mixed_bytes(rows: int, input_shape: Shape, output_shape: Shape) -> int:
    """Return the memory for a batch: inputs, targets and weights, mixed and original, and one-hot classes."""
    return 4 * rows * (2 * size(input_shape) + 3 * size(output_shape) + 2)


def _mixed(rows: Array, order: Any, lam: float, ctx: PassContext) -> Array:
    others = np.take(rows, order, axis=0, out=ctx.empty(rows.shape, rows.dtype), mode="clip")
    np.multiply(others, 1 - lam, out=others)
    own = np.multiply(rows, lam, out=ctx.empty(rows.shape, rows.dtype))
    return np.add(own, others, out=own)


def _one_hot(classes: Any, count: int, ctx: PassContext) -> Any:
    """Return class numbers `(batch, …)` as one-hot probabilities `(batch, …, classes)`."""
    one_hot = ctx.empty((*classes.shape, count))
    one_hot.fill(0)
    np.put_along_axis(one_hot, classes[..., None], 1, axis=-1)
    return one_hot
