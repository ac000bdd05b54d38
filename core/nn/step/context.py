"""The pass context: what one forward and backward pass through a network shares."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from core.nn.arrays import Array, Mask, Shape


class PassContext:
    """One pass through a network: its dtype, whether it trains, its random numbers, and the mask on the way.

    A pass that is not `training` keeps nothing for a backward pass, and has none.

    Parameters
    ----------
    dtype
        Of the arrays that `empty` allocates: float32 in training, float64 in the gradient check.
    training
        Whether a backward pass follows; dropout and batch normalization behave accordingly.
    rng
        The source of random numbers, such as dropout's; None for a pass that draws none.
    shapes
        The shape of each weight, in the order of the flat vector, for optimizers that work weight by weight.
    names
        The path of each weight in the architecture, in the same order.

    Attributes
    ----------
    mask
        Which steps of the sequences are present, `(batch, steps)`; None: all. `Network.forward` starts each pass
        without one; `masking` and an `embedding` with `mask_zero` set it; recurrent layers, pooling and attention read
        it, and losses skip masked steps. A composite gives each branch the mask that came in, and drops it by
        `keep_mask` after a layer that emits other steps; a layer that reorders steps drops it itself.
    sample_weight
        The weight of each row in the loss, `(batch,)`; None: all equal.
    weights
        The product of mask and sample weights: the weight of each row `(batch,)` or of each step `(batch, steps)`;
        None: all equal.
    loss
        The loss of the batch, penalties included. Set before the optimizer's update.
    reevaluate
        Computes the loss and the gradient of the same batch once more, at the current weights and with the same random
        numbers, for an optimizer that takes more than one pass a step. Set before the optimizer's update.
    """

    __slots__ = (
        "dtype",
        "loss",
        "mask",
        "names",
        "reevaluate",
        "rng",
        "sample_weight",
        "shapes",
        "training",
        "weights",
    )

    loss: float
    reevaluate: Callable[[], float]

    def __init__(
        self,
        dtype: DTypeLike = np.float32,
        *,
        training: bool,
        rng: np.random.Generator | None = None,
        shapes: tuple[Shape, ...] = (),
        names: tuple[str, ...] = (),
    ) -> None:
        self.dtype = dtype
        self.shapes = shapes
        self.names = names
        self.training = training
        self.rng = rng
        self.mask: Mask | None = None
        self.sample_weight: Array | None = None
        self.weights: Array | None = None

    def empty(self, shape: Shape, dtype: DTypeLike | None = None) -> Any:
        """Return an array of `shape` with arbitrary content, of the pass's dtype unless another is given."""
        return np.empty(shape, self.dtype if dtype is None else dtype)

    def combine_weights(self) -> None:
        """Set `weights` to the product of the mask and the sample weights."""
        self.weights = self.sample_weight
        if self.mask is None:
            return
        weights = self.weights = self.empty(self.mask.shape)
        np.copyto(weights, self.mask)
        if self.sample_weight is not None:
            np.multiply(weights, self.sample_weight[:, None], out=weights)

    def keep_mask(self, y: Array) -> None:
        """Drop the mask unless the layer's output `y` is `(batch, steps, …)` with as many steps as the mask has."""
        if self.mask is not None and (y.ndim < 3 or y.shape[:2] != self.mask.shape):
            self.mask = None


def inference(dtype: DTypeLike = np.float32) -> PassContext:
    """Return the context of a pass that only predicts."""
    return PassContext(dtype, training=False)
