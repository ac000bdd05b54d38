"""The words that every file of this room uses for arrays and shapes.

A shape never holds the batch: `(784,)` is a row of 784 numbers, of which a batch has many.
"""

import math
from collections.abc import Callable
from mmap import ACCESS_COPY, mmap
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

Array: TypeAlias = NDArray[np.floating[Any]]
"""Floating-point numbers: float32 in training, float64 where gradients are checked."""

Mask: TypeAlias = NDArray[np.bool_]
"""Booleans `(batch, steps)`: True where a step of a sequence is there, False where it only fills up."""

Shape: TypeAlias = tuple[int, ...]
"""The shape of one row, without the batch."""

Backward: TypeAlias = Callable[[Array], Array]
"""From the gradient with regard to a part's output to that with regard to its input; it may overwrite what it gets.

It is called once, after a forward pass that learns: what it refers to is let go of afterwards.
"""


MAX_AXIS_LENGTH = 2**31 - 1
"""The longest axis a spec may ask for, so that no product of them is a number of thousands of digits."""


def chain_backward(steps: list[Backward]) -> Backward:
    """The chain rule: the backward passes of parts that followed one another, the last first.

    Each is dropped when it is over, and with it what its part kept.
    """

    def backward(gradient: Array) -> Array:
        while steps:
            gradient = steps.pop()(gradient)
        return gradient

    return backward


def size(shape: Shape) -> int:
    """How many numbers a shape holds: an exact integer, however large, with nothing allocated."""
    return math.prod(shape)


def lazy_zeros(shape: Shape, dtype: DTypeLike, access: int = ACCESS_COPY) -> Array:
    """Zeros that take no memory until somebody writes them; NumPy's do where the allocator has memory that was used.

    `access` is `mmap`'s. Raises `MemoryError`.
    """
    kind = np.dtype(dtype)
    try:
        memory = mmap(-1, max(1, size(shape) * kind.itemsize), access=access)
    except OSError as error:
        raise MemoryError(*error.args) from error
    return np.ndarray(shape, kind, memory)
