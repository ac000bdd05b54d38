"""Sums and maxima of rows, with NaN and infinity."""

import numpy as np
import pytest

from core.nn.kernels.reductions import MAX_TRANSPOSED_WIDTH, column_sums, row_maxima, row_sums, total
from core.nn.step.context import inference


@pytest.mark.parametrize("width", [1, 2, MAX_TRANSPOSED_WIDTH, MAX_TRANSPOSED_WIDTH + 1])
def test_row_maxima_of_any_width_equal_numpys(width: int) -> None:
    rows = np.random.default_rng(0).standard_normal((5, width), np.float32)
    rows[1, -1], rows[2] = np.nan, -np.inf
    np.testing.assert_array_equal(row_maxima(rows, inference()), rows.max(axis=1, keepdims=True))


def test_total_of_many_numbers_is_near_the_exact_sum() -> None:
    numbers = np.random.default_rng(0).random(1_000_000, np.float32)
    np.testing.assert_allclose(total(numbers), numbers.sum(dtype=np.float64), rtol=1e-5)


def test_column_and_row_sums_equal_numpys() -> None:
    rows = np.random.default_rng(0).standard_normal((5, 7))
    np.testing.assert_allclose(column_sums(rows, np.empty(7)), rows.sum(axis=0))
    np.testing.assert_allclose(row_sums(rows, np.empty(5)), rows.sum(axis=1))
