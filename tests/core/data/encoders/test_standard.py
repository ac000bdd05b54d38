"""Tests of core/data/encoders/standard.py."""

from typing import Any

import numpy as np
import pytest

from core.data.encoders.encoder import WrongValue
from core.data.encoders.standard import Standardize, StandardOptions
from core.data.seen import Seen
from tests.core.data.encoders.cases import AGE, standardize

ONE_TO_THREE = Seen(min=1, max=3, mean=2, std=1)


def test_fit_scaled_has_mean_and_std_of_the_values() -> None:
    found = StandardOptions().fit(AGE, np.array([1.0, 3.0, np.nan]), scaled=True)
    assert found == Standardize(column="age", mean=2.0, std=1.0, imputed=2.0, marked=False, seen=ONE_TO_THREE)


def test_fit_unscaled_only_imputes() -> None:
    found = StandardOptions().fit(AGE, np.array([1.0, 3.0, np.nan]), scaled=False)
    assert found == Standardize(column="age", mean=0.0, std=1.0, imputed=2.0, marked=False, seen=ONE_TO_THREE)


@pytest.mark.parametrize("values", [[0.1] * 7, [1e38] * 3, [np.nan], [5.0], [0.0, 0.0]])
def test_fit_constant_column_has_std_one(values: list[float]) -> None:
    assert StandardOptions().fit(AGE, np.array(values), scaled=True).std == 1.0


@pytest.mark.parametrize(
    ("encoder", "value", "expected", "warning"),
    [
        (standardize(), 3, 3.0, None),
        (standardize(), " 3.5 ", 3.5, None),
        (standardize(), None, np.nan, "age is missing: the mean 2 is used"),
        (standardize(marked=True), "NA", np.nan, None),
        (standardize(marked=True), float("nan"), np.nan, None),
    ],
)
def test_parse_number_or_missing(encoder: Standardize, value: Any, expected: float, warning: str | None) -> None:
    np.testing.assert_equal(encoder.parse(value), (expected, warning))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("old", 'is "old": give a number'),
        (True, "give a number"),
        ([1], "give a number"),
        ({"a": 1}, "give a number"),
        (10**400, "outside the range of float32"),
        ("inf", "outside the range of float32"),
    ],
)
def test_parse_other_value_says_what_is_wrong(value: Any, message: str) -> None:
    with pytest.raises(WrongValue, match=message):
        standardize().parse(value)


def test_transform_clips_to_float32() -> None:
    x = np.zeros((2, 1), np.float32)
    standardize(mean=0.0, std=1e-300).transform(np.array([1e38, -1e38]), x)
    assert np.isfinite(x).all()
