"""Regularizers: their penalties."""

import numpy as np
import pytest

from core.nn.regularizers import Regularizer
from tests.core.nn.cases import REGULARIZERS


@pytest.mark.parametrize(("regularizer", "penalty"), REGULARIZERS, ids=lambda v: getattr(v, "type", ""))
def test_regularizer_has_the_listed_penalty(regularizer: Regularizer, penalty: float) -> None:
    assert regularizer.penalty(np.array([1.0, -2.0, 3.0])) == pytest.approx(penalty)
