"""Sigmoid, softplus and softmax, computed without overflow."""

import numpy as np

from core.nn.arrays import Array


def sigmoid(z: Array, out: Array) -> Array:
    """Compute `1 / (1 + e⁻ᶻ)` into `out`, without overflow."""
    np.multiply(z, 0.5, out=out)
    np.tanh(out, out=out)
    np.multiply(out, 0.5, out=out)
    return np.add(out, 0.5, out=out)


def softplus(z: Array, out: Array, scratch: Array) -> Array:
    """Compute `log(1 + eᶻ)` into `out`, without overflow. `z` may be `out` itself; `scratch` has the same shape."""
    np.abs(z, out=scratch)
    np.negative(scratch, out=scratch)
    np.exp(scratch, out=scratch)
    np.log1p(scratch, out=scratch)
    np.maximum(z, 0, out=out)
    return np.add(out, scratch, out=out)


def softmax(z: Array, out: Array) -> Array:
    """Compute the softmax over the last axis into `out`; subtracting the maximum first prevents overflow."""
    np.subtract(z, np.maximum.reduce(z, axis=-1, keepdims=True), out=out)
    np.exp(out, out=out)
    return np.divide(out, np.add.reduce(out, axis=-1, keepdims=True), out=out)
