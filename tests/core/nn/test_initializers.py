"""Initializers: the moments and properties of their samples."""

import numpy as np
import pytest

from core.nn.initializers import Initializer, Orthogonal, TruncatedNormal
from core.nn.regularizers import OrthogonalRegularizer
from tests.core.nn.cases import INITIALIZERS


@pytest.mark.parametrize(("initializer", "mean", "deviation"), INITIALIZERS, ids=lambda v: getattr(v, "type", ""))
def test_initializer_sample_has_the_listed_moments(initializer: Initializer, mean: float, deviation: float) -> None:
    sample = initializer.draw(np.random.default_rng(0), (400, 300))
    assert sample.mean() == pytest.approx(mean, abs=0.005)
    assert sample.std() == pytest.approx(deviation, rel=0.02)


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (2, 2, 3), (4,)])
def test_orthogonal_initializer_gives_orthogonal_columns_or_rows(shape: tuple[int, ...]) -> None:
    sample = Orthogonal(gain=3).draw(np.random.default_rng(0), shape)
    matrix = sample.reshape(-1, shape[-1])
    product = matrix.T @ matrix if len(matrix) >= shape[-1] else matrix @ matrix.T
    np.testing.assert_allclose(product, 9 * np.eye(len(product)), atol=1e-12)
    assert OrthogonalRegularizer().penalty(sample / 3) == pytest.approx(0)


def test_truncated_normal_is_within_two_standard_deviations() -> None:
    assert np.abs(TruncatedNormal(stddev=0.5).draw(np.random.default_rng(0), (1000,))).max() <= 1
