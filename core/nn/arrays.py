"""Types of arrays, shapes and backward passes.

A `Shape` is the shape of one row, without the batch axis: `(784,)` for rows of 784 numbers.
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
"""Booleans `(batch, steps)`: True for a step of the sequence, False for padding."""

Shape: TypeAlias = tuple[int, ...]
"""The shape of one row, without the batch axis."""

Backward: TypeAlias = Callable[[Array], Array]
"""A backward pass: from the gradient by a part's output to the gradient by its input. It may overwrite its argument.

It is called at most once, after a training forward pass; the arrays it refers to are released afterwards.
"""


MAX_AXIS_LENGTH = 2**31 - 1
"""Maximum length of an axis in a spec; it keeps products of lengths below thousands of digits."""


def chain_backward(steps: list[Backward]) -> Backward:
    """Return the backward pass of parts in series: their backward passes in reverse order (the chain rule).

    Each is released after its call, with the arrays that its part kept.
    """

    def backward(gradient: Array) -> Array:
        while steps:
            gradient = steps.pop()(gradient)
        return gradient

    return backward


def size(shape: Shape) -> int:
    """Return the number of entries of an array of this shape, as an exact integer of any size."""
    return math.prod(shape)


def lazy_zeros(shape: Shape, dtype: DTypeLike, access: int = ACCESS_COPY) -> Array:
    """Return zeros that take no memory until they are written; `access` is `mmap`'s.

    `np.zeros` takes memory at once if the allocator reuses a block.

    Raises
    ------
    MemoryError
        If the system has no address space of this size.
    """
    dtype = np.dtype(dtype)
    try:
        memory = mmap(-1, max(1, size(shape) * dtype.itemsize), access=access)
    except OSError as error:
        raise MemoryError(*error.args) from error
    return np.ndarray(shape, dtype, memory)
