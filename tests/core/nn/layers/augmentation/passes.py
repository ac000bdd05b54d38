"""Forward passes of augmentation layers with fixed random draws."""

import numpy as np

from core.nn.arrays import Array, Backward
from core.nn.layers.augmentation import Augmentation
from core.nn.plan import Views
from core.nn.step.context import inference

VIEWS = Views({}, {}, {}, parts=(), learns=False, input_gradient=True, trainable=True)


def forward(layer: Augmentation, x: Array, *, training: bool = True) -> tuple[Array, Backward]:
    """Return the outputs of the layer and its backward pass."""
    ctx = inference(x.dtype)
    ctx.training, ctx.rng = training, np.random.default_rng(5)
    return layer.forward(x, VIEWS, ctx)


def augmented(layer: Augmentation, x: Array, *, training: bool = True) -> Array:
    """Return the outputs of the layer."""
    return forward(layer, x, training=training)[0]
