"""The largest of each row is the same by either way, and what is no number stays none."""

import numpy as np
import pytest

from core.nn.kernels.reductions import MAX_TRANSPOSED_WIDTH, row_maxima, total
from core.nn.step.context import inference


@pytest.mark.parametrize("width", [1, 2, MAX_TRANSPOSED_WIDTH, MAX_TRANSPOSED_WIDTH + 1])
def test_the_largest_of_each_row(width: int) -> None:
    rows = np.random.default_rng(0).standard_normal((5, width), np.float32)
    rows[1, -1], rows[2] = np.nan, -np.inf
    np.testing.assert_array_equal(row_maxima(rows, inference()), rows.max(axis=1, keepdims=True))


def test_the_sum_of_many_numbers_is_near_the_exact_one() -> None:
    numbers = np.random.default_rng(0).random(1_000_000, np.float32)
    np.testing.assert_allclose(total(numbers), numbers.sum(dtype=np.float64), rtol=1e-5)
