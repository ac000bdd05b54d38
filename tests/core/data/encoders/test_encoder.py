"""One column's rule: what it is fitted to, and how it reads a record's value."""

from typing import Any

import numpy as np
import pytest

from core.data.encoders.encoder import (
    ENCODERS,
    MISSING_CODE,
    UNKNOWN_CODE,
    Encoder,
    OneHot,
    Standardize,
    WrongValue,
    fit,
    width,
)
from core.data.schema import Column

AGE = Column(name="age", type="number", rows=4)
CITY = Column(name="city", type="category", rows=4, missing=1, classes=(("Bergen", 1), ("Oslo", 2)))


def a_number(**changes: Any) -> Standardize:
    return Standardize(**{"column": "age", "mean": 2.0, "std": 4.0, "imputed": 2.0, "marked": False, **changes})


def a_category(**changes: Any) -> OneHot:
    return OneHot(**{"column": "city", "categories": ("3", "Oslo", "True"), "unseen": (), "marked": False, **changes})


def test_numbers_are_fitted_to_mean_and_deviation() -> None:
    found = fit(AGE, np.array([1.0, 3.0, np.nan]), scaled=True)
    assert found == Standardize(column="age", mean=2.0, std=1.0, imputed=2.0, marked=False)


def test_unscaled_numbers_are_only_imputed() -> None:
    found = fit(AGE, np.array([1.0, 3.0, np.nan]), scaled=False)
    assert found == Standardize(column="age", mean=0.0, std=1.0, imputed=2.0, marked=False)


@pytest.mark.parametrize("values", [[0.1] * 7, [1e38] * 3, [np.nan], [5.0], [0.0, 0.0]])
def test_what_does_not_vary_is_not_blown_up(values: list[float]) -> None:
    found = fit(AGE, np.array(values), scaled=True)
    assert isinstance(found, Standardize)
    assert found.std == 1.0


def test_categories_are_those_of_the_dataset() -> None:
    found = fit(CITY, np.array([1, 1, -1], np.int32), scaled=True)
    assert found == OneHot(column="city", categories=("Bergen", "Oslo"), unseen=("Bergen",), marked=True)


@pytest.mark.parametrize("column", [AGE, CITY, Column(name="a", type="number", rows=4, missing=2)])
def test_the_width_is_known_before(column: Column) -> None:
    values = np.zeros(4, np.int32 if column.type == "category" else np.float64)
    assert fit(column, values, scaled=True).width == width(column)


def test_every_rule_has_its_word() -> None:
    assert {word: rule.__dataclass_fields__["type"].default for word, rule in ENCODERS.items()} == {
        w: w for w in ENCODERS
    }


VALUES: list[tuple[Encoder, Any, float, str | None]] = [
    (a_number(), 3, 3.0, None),
    (a_number(), " 3.5 ", 3.5, None),
    (a_number(), None, np.nan, "age is missing: the mean 2 stands in"),
    (a_number(marked=True), "NA", np.nan, None),
    (a_number(marked=True), float("nan"), np.nan, None),
    (a_category(), " Oslo ", 1, None),
    (a_category(), 3, 0, None),
    (a_category(), 3.0, 0, None),
    (a_category(), True, 2, None),
    (a_category(marked=True), "", MISSING_CODE, None),
    (a_category(), None, MISSING_CODE, "city is missing: no category stands in"),
    (a_category(), "Paris", UNKNOWN_CODE, 'city: "Paris" was never seen in training'),
    (a_category(unseen=("Oslo",)), "Oslo", UNKNOWN_CODE, 'city: "Oslo" was never seen in training'),
]


@pytest.mark.parametrize(("rule", "value", "parsed", "warning"), VALUES)
def test_a_value_is_read_as_in_the_dataset(rule: Encoder, value: Any, parsed: float, warning: str | None) -> None:
    found = rule.parse(value)
    np.testing.assert_equal(found[0], parsed)
    assert found[1] == warning


WRONG: list[tuple[Encoder, Any, str]] = [
    (a_number(), "old", 'is "old" where a number belongs'),
    (a_number(), True, "where a number belongs"),
    (a_number(), [1], "where a number belongs"),
    (a_number(), {"a": 1}, "where a number belongs"),
    (a_number(), 10**400, "beyond what a float32 holds"),
    (a_number(), "inf", "beyond what a float32 holds"),
    (a_category(), [1], "where a category belongs"),
]


@pytest.mark.parametrize(("rule", "value", "message"), WRONG)
def test_a_wrong_value_is_refused(rule: Encoder, value: Any, message: str) -> None:
    with pytest.raises(WrongValue, match=message):
        rule.parse(value)
