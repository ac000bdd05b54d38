"""Outputs become answers in the target's own words."""

import json

import numpy as np
import pytest

from core.data.targets import Classes, Numbers, Target, numbers_of, target_from_json

ONE = Numbers(shape=(1,), integers=False, least=0.5, most=2.0, distinct=None)
TABLE = Numbers(shape=(2, 2), integers=True, least=0, most=3, distinct=4)
TWO = Classes(names=("no", "yes"))


@pytest.mark.parametrize("target", [ONE, TABLE, TWO])
def test_a_target_travels_as_json(target: Target) -> None:
    assert target_from_json(json.loads(json.dumps(target.to_json()))) == target


def test_one_number_is_answered_plainly() -> None:
    assert ONE.answer(np.array([[1.5], [2]], np.float32)) == [{"value": 1.5}, {"value": 2.0}]


def test_numbers_keep_their_shape() -> None:
    assert TABLE.answer(np.arange(4.0).reshape(1, 4)) == [{"value": [[0, 1], [2, 3]]}]


def test_what_is_not_finite_is_null_and_named() -> None:
    answers = ONE.answer(np.array([[np.nan], [-np.inf], [1.0]]))
    assert answers == [{"value": None, "nonfinite": "nan"}, {"value": None, "nonfinite": "-inf"}, {"value": 1.0}]
    assert TABLE.answer(np.array([[0, np.inf, 2, 3]])) == [{"value": [[0, None], [2, 3]], "nonfinite": "inf"}]
    nothing = {"label": None, "probabilities": {"no": None, "yes": None}}
    assert TWO.answer(np.array([[np.nan, 1.0]])) == [nothing]


def test_the_likeliest_class_is_the_label() -> None:
    answer = {"label": "yes", "probabilities": {"no": 0.25, "yes": 0.75}}
    assert TWO.answer(np.array([[0.25, 0.75]])) == [answer]
    assert TWO.answer(np.array([[0.75]])) == [answer]
    assert TWO.answer(np.array([0.75])) == [answer]


def test_numbers_are_known_by_their_values() -> None:
    assert numbers_of(np.array([2.0, 0.0, 2.0])) == Numbers(shape=(1,), integers=True, least=0, most=2, distinct=2)
    assert numbers_of(np.array([[0.5, 1]])) == Numbers(shape=(2,), integers=False, least=0.5, most=1, distinct=None)
