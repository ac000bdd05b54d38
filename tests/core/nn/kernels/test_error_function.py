"""The normal distribution function from its table, against `math.erfc`."""

import math
from typing import Any

import numpy as np
import pytest

from core.nn.kernels.error_function import normal_cdf


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1.5e-7), (np.float64, 1e-15)])
def test_normal_cdf_and_density_equal_the_formula(dtype: Any, tolerance: float) -> None:
    z = np.linspace(-12, 12, 10_001).astype(dtype)
    cdf, density, offset, scratch = (np.empty_like(z) for _ in range(4))
    normal_cdf(z, cdf, density, offset, scratch, np.empty(z.shape, np.intp))
    exact = z.astype(np.float64)
    np.testing.assert_allclose(cdf, np.vectorize(math.erfc)(-exact / math.sqrt(2)) / 2, atol=tolerance)
    np.testing.assert_allclose(density, np.exp(-exact * exact / 2) / math.sqrt(2 * math.pi), atol=tolerance)
