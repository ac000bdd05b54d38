"""Zeros that take memory only when they are written."""

from mmap import ACCESS_COPY, ACCESS_WRITE

import numpy as np
import pytest

from core.nn.arrays import lazy_zeros


@pytest.mark.parametrize("access", [ACCESS_COPY, ACCESS_WRITE], ids=["private", "shared"])
@pytest.mark.parametrize("shape", [(), (0,), (3, 1000)], ids=str)
def test_lazy_zeros_are_zero_and_writable(access: int, shape: tuple[int, ...]) -> None:
    array = lazy_zeros(shape, np.float32, access)
    assert (array.shape, array.dtype) == (shape, np.dtype(np.float32))
    assert not array.any()
    array[...] = 2
    assert array.sum() == 2 * array.size


def test_lazy_zeros_beyond_memory_raise_memory_error() -> None:
    with pytest.raises(MemoryError):
        lazy_zeros((2**58,), np.float32)
