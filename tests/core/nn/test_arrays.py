"""Arrays by the kernel's pages."""

from mmap import ACCESS_COPY, ACCESS_WRITE

import numpy as np
import pytest

from core.nn.arrays import lazy_zeros


@pytest.mark.parametrize("access", [ACCESS_COPY, ACCESS_WRITE], ids=["own", "in common"])
@pytest.mark.parametrize("shape", [(), (0,), (3, 1000)], ids=str)
def test_what_nobody_has_touched_is_zero_and_can_be_written(access: int, shape: tuple[int, ...]) -> None:
    array = lazy_zeros(shape, np.float32, access)
    assert (array.shape, array.dtype) == (shape, np.dtype(np.float32))
    assert not array.any()
    array[...] = 2
    assert array.sum() == 2 * array.size


def test_where_there_is_no_room_it_is_told_as_numpy_tells_it() -> None:
    with pytest.raises(MemoryError):
        lazy_zeros((2**58,), np.float32)
