"""Tests of core/data/targets/standardized.py."""

import numpy as np
from sklearn.preprocessing import StandardScaler

from core.data.targets.standardized import Standardized

Y = np.array([[2020.5, 1.0], [2030.0, 1.0], [1990.25, 1.0], [7.0, 99.0]])
TRAIN = np.array([0, 1, 2])


def test_fit_takes_the_training_rows_alone() -> None:
    target = Standardized.fit(Y, TRAIN)
    expected = StandardScaler().fit(Y[TRAIN]).transform(Y)
    np.testing.assert_allclose(target.array(Y), expected, rtol=1e-6)


def test_answer_is_in_its_own_unit() -> None:
    target = Standardized.fit(Y[:, :1], TRAIN)
    answers = [one["value"] for one in target.answer(target.array(Y[:, :1]))]
    distance = np.abs(Y[:, 0] - Y[TRAIN, 0].mean())  # what float32 rounds, in units of the deviation
    assert (np.abs(answers - Y[:, 0]) <= np.finfo(np.float32).eps * distance + 1e-9).all()
    assert target.answer(np.array([[np.nan]])) == [{"value": None, "nonfinite": "nan"}]
