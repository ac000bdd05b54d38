"""Tests of core/data/targets/classes.py."""

import numpy as np
import pytest

from core.data.errors import InvalidInstance
from core.data.targets.classes import Classes

TWO = Classes(names=("no", "yes"))


def test_answer_has_the_most_probable_class() -> None:
    answer = {"label": "yes", "probabilities": {"no": 0.25, "yes": 0.75}}
    assert TWO.answer(np.array([[0.25, 0.75]])) == [answer]
    assert TWO.answer(np.array([[0.75]])) == [answer]
    assert TWO.answer(np.array([0.75])) == [answer]


def test_answer_of_steps_has_lists() -> None:
    [answer] = TWO.answer(np.array([[[0.25, 0.75], [1.0, 0.0]]]))
    assert answer == {"label": ["yes", "no"], "probabilities": [{"no": 0.25, "yes": 0.75}, {"no": 1.0, "yes": 0.0}]}


def test_answer_nonfinite_is_null() -> None:
    expected = {"label": None, "probabilities": {"no": None, "yes": None}}
    assert TWO.answer(np.array([[np.nan, 1.0]])) == [expected]


def test_array_and_class_ids_are_int64() -> None:
    ids = np.array([1, 0, 1], np.int32)
    assert TWO.array(ids).nbytes == 3 * TWO.row_bytes
    assert TWO.class_ids(ids).tolist() == [1, 0, 1]


def test_parse_unknown_class_lists_the_first_classes() -> None:
    with pytest.raises(InvalidInstance, match='"9" and 2 more'):
        Classes(names=tuple(map(str, range(12)))).parse(["cow"])
