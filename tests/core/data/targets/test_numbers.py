"""Tests of core/data/targets/numbers.py."""

import numpy as np
import pytest

from core.data.targets.numbers import Numbers

ONE = Numbers(shape=(1,), integers=False, min=0.5, max=2.0, distinct=None)
TABLE = Numbers(shape=(2, 2), integers=True, min=0, max=3, distinct=4)


def test_from_values_describes_them() -> None:
    assert Numbers.from_values(np.array([2.0, 0.0, 2.0])) == Numbers(
        shape=(1,), integers=True, min=0, max=2, distinct=2
    )
    assert Numbers.from_values(np.array([[0.5, 1]])) == Numbers(
        shape=(2,), integers=False, min=0.5, max=1, distinct=None
    )


@pytest.mark.parametrize(
    ("target", "values", "expected"),
    [
        (Numbers.from_values(np.array([2.0, 0.0])), [7, 5, 7], [1, 0, 1]),
        (ONE, [0.5, 2.0], None),
        (TABLE, np.zeros((2, 2, 2)), None),
    ],
)
def test_class_ids_only_of_single_integers(target: Numbers, values: object, expected: object) -> None:
    found = target.class_ids(np.array(values))
    assert (found if found is None else found.tolist()) == expected


def test_array_is_float32_of_row_bytes() -> None:
    array = TABLE.array(np.arange(8.0).reshape(2, 4))
    assert (array.shape, array.dtype.name, array.nbytes) == ((2, 2, 2), "float32", 2 * TABLE.row_bytes)


def test_answer_single_number_is_plain() -> None:
    assert ONE.answer(np.array([[1.5], [2]], np.float32)) == [{"value": 1.5}, {"value": 2.0}]


def test_answer_keeps_the_shape() -> None:
    assert TABLE.answer(np.arange(4.0).reshape(1, 4)) == [{"value": [[0, 1], [2, 3]]}]


def test_answer_nonfinite_number_is_null_and_named() -> None:
    answers = ONE.answer(np.array([[np.nan], [-np.inf], [1.0]]))
    assert answers == [{"value": None, "nonfinite": "nan"}, {"value": None, "nonfinite": "-inf"}, {"value": 1.0}]
    assert TABLE.answer(np.array([[0, np.inf, 2, 3]])) == [{"value": [[0, None], [2, 3]], "nonfinite": "inf"}]
