"""Sigmoid, softplus and softmax against their formulas, and at extreme inputs."""

from typing import Any

import numpy as np
import pytest

from core.nn.kernels.exponentials import sigmoid, softmax, softplus


def softplus_in_place(z: Any, out: Any) -> Any:
    """Compute softplus with a scratch array of its own."""
    return softplus(z, out, np.empty_like(z))


FORMULAS: list[tuple[Any, Any]] = [
    (sigmoid, lambda z: 1 / (1 + np.exp(-z))),
    (softplus_in_place, lambda z: np.log1p(np.exp(z))),
    (softmax, lambda z: np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True)),
]
LIMITS: list[tuple[Any, list[float]]] = [
    (sigmoid, [0.0, 0.5, 1.0]),
    (softplus_in_place, [0.0, np.log(2), 1e30]),
    (softmax, [0.0, 0.0, 1.0]),
]


@pytest.mark.parametrize(("function", "formula"), FORMULAS)
@pytest.mark.parametrize("in_place", [False, True])
def test_function_of_moderate_inputs_matches_its_formula(function: Any, formula: Any, in_place: bool) -> None:
    z = np.random.default_rng(0).uniform(-20, 20, (5, 4))
    expected = formula(z)
    np.testing.assert_allclose(function(z, z if in_place else np.empty_like(z)), expected, rtol=1e-6, atol=1e-13)


@pytest.mark.parametrize(("function", "expected"), LIMITS)
def test_function_of_extreme_inputs_is_its_limit(function: Any, expected: list[float]) -> None:
    z = np.array([[-1e30, 0.0, 1e30]])
    np.testing.assert_allclose(function(z, np.empty_like(z)), [expected])
