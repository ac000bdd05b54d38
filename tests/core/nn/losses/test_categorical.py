"""Losses of classes against their formulas."""

import numpy as np
import pytest

from core.nn.losses.categorical import CrossEntropy
from core.nn.step.context import PassContext


def test_cross_entropy_matches_its_formula() -> None:
    logits, classes = np.array([[2.0, 1.0, 0.0], [0.0, 3.0, 1.0]]), np.array([0, 2])
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    value, _ = CrossEntropy().forward(logits, classes, PassContext(np.float64, training=True))
    assert value == pytest.approx(-np.log(p[[0, 1], classes]).mean())
    one_hot, _ = CrossEntropy().forward(logits, np.eye(3)[classes], PassContext(np.float64, training=True))
    assert one_hot == pytest.approx(value)
