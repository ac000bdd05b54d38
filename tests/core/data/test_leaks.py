"""Tests of core/data/leaks.py."""

from typing import Any

import numpy as np
import pytest

from core.data.leaks import MAX_ARRAY_COLUMNS, MIN_ROWS, array_warnings, leaking_columns

ROWS = np.arange(200)
RNG = np.random.default_rng(0)
CLASSES = RNG.integers(0, 3, 200)
NUMBERS = RNG.standard_normal(200).astype(np.float32)
CASES: list[tuple[str, Any, Any, bool]] = [
    ("class as a category", np.array([2, 0, 1], np.int32)[CLASSES], CLASSES, True),
    ("class as a number", CLASSES * 10.0, CLASSES, True),
    ("number that separates the classes", CLASSES + 0.3 * RNG.random(200), CLASSES, True),
    ("category beside the class", RNG.integers(0, 3, 200).astype(np.int32), CLASSES, False),
    ("key of each row", np.arange(200, dtype=np.int32), CLASSES, False),
    ("number that nearly separates", CLASSES + 1.2 * RNG.random(200), CLASSES, False),
    ("rare class that is the largest number", np.arange(200.0), (ROWS == 199).astype(np.int64), False),
    ("rare category", (ROWS == 199).astype(np.int32), (ROWS == 199).astype(np.int64), False),
    ("number beside many classes", RNG.standard_normal(200), RNG.integers(0, 150, 200), False),
    ("target in another unit", NUMBERS * 2.54 + 3.0, NUMBERS, True),
    ("target with noise", NUMBERS + 0.01 * RNG.standard_normal(200), NUMBERS, False),
    ("target with missing values", np.where(ROWS % 9, NUMBERS, np.nan), NUMBERS, False),
    ("constant", np.full(200, 3.0), NUMBERS, False),
    ("category of a number", RNG.integers(0, 3, 200).astype(np.int32), NUMBERS, False),
]


@pytest.mark.parametrize(("values", "y", "leaks"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_column_that_alone_predicts_the_target_is_named(values: Any, y: Any, leaks: bool) -> None:
    values = values.astype(np.float64) if values.dtype.kind == "f" else values
    columns = {"a": values, "b": RNG.standard_normal(200)}
    found = list(leaking_columns(columns, ["a", "b"], y, ROWS))
    assert [warning.code for warning in found] == ["leaking_column"] * leaks
    assert all('column "a" alone' in warning.message for warning in found)


def test_integers_that_may_be_classes_are_given_away_as_classes() -> None:
    columns = {"a": CLASSES + 0.3 * RNG.random(200), "b": RNG.standard_normal(200)}
    y = CLASSES.astype(np.float32)
    assert not list(leaking_columns(columns, ["a", "b"], y, ROWS))
    assert len(list(leaking_columns(columns, ["a", "b"], y, ROWS, CLASSES))) == 1
    keys = {"a": np.cbrt(ROWS), "b": columns["b"]}
    assert not list(leaking_columns(keys, ["a", "b"], ROWS.astype(np.float32), ROWS, ROWS))


def test_single_column_and_few_rows_are_no_leak() -> None:
    columns = {"a": NUMBERS.astype(np.float64), "b": RNG.standard_normal(200)}
    assert not list(leaking_columns(columns, ["a"], NUMBERS, ROWS))
    assert not list(leaking_columns(columns, ["a", "b"], NUMBERS, ROWS[: MIN_ROWS - 1]))
    assert list(leaking_columns(columns, ["a", "b"], NUMBERS, ROWS[:MIN_ROWS]))


def test_columns_of_an_array_are_named_by_their_numbers() -> None:
    x = np.stack([RNG.standard_normal(200), np.full(200, 2.0), NUMBERS * 3 + 1], axis=1)
    found = list(array_warnings(x, NUMBERS[:, None], ROWS, None, "/data/x"))
    assert [(one.code, one.pointer) for one in found] == [("constant_column", "/data/x"), ("leaking_column", "/data/x")]
    assert ('"1" of x has' in found[0].message, 'column "2" alone' in found[1].message) == (True, True)


@pytest.mark.parametrize("shape", [(200,), (200, 1), (200, 3, 2), (200, MAX_ARRAY_COLUMNS + 1)])
def test_arrays_of_other_shapes_have_no_columns(shape: tuple[int, ...]) -> None:
    assert not list(array_warnings(np.zeros(shape), NUMBERS[:, None], ROWS, None, "/data/x"))
