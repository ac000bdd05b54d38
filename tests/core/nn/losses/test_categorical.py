"""Losses of classes against their formulas."""

from typing import Any

import numpy as np
import pytest

from core.nn.losses.categorical import CrossEntropy
from core.nn.step.context import PassContext


def float64_context(dtype: Any = np.float64) -> PassContext:
    """A pass with memory of its own."""
    return PassContext(dtype, training=True)


def test_cross_entropy_matches_its_formula() -> None:
    logits, classes = np.array([[2.0, 1.0, 0.0], [0.0, 3.0, 1.0]]), np.array([0, 2])
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    value, _ = CrossEntropy().forward(logits, classes, float64_context())
    assert value == pytest.approx(-np.log(shares[[0, 1], classes]).mean())
    one_hot, _ = CrossEntropy().forward(logits, np.eye(3)[classes], float64_context())
    assert one_hot == pytest.approx(value)
