"""Tests of core/data/encoders/one_hot.py."""

from typing import Any

import numpy as np
import pytest

from core.data.encoders.encoder import WrongValue
from core.data.encoders.one_hot import MISSING_CODE, UNKNOWN_CODE, OneHot, OneHotOptions
from core.data.schema import Column
from tests.core.data.encoders.cases import one_hot

CITY = Column(name="city", type="category", rows=4, missing=1, classes=(("Bergen", 1), ("Oslo", 2)))


def test_fit_has_all_categories_and_names_those_without_rows() -> None:
    found = OneHotOptions().fit(CITY, np.array([1, 1, -1], np.int32), scaled=True)
    assert found == OneHot(column="city", categories=("Bergen", "Oslo"), unseen=("Bergen",), marked=True)


@pytest.mark.parametrize(
    ("encoder", "value", "code", "warning"),
    [
        (one_hot(), " Oslo ", 1, None),
        (one_hot(), 3, 0, None),
        (one_hot(), 3.0, 0, None),
        (one_hot(), True, 2, None),
        (one_hot(marked=True), "", MISSING_CODE, None),
        (one_hot(), None, MISSING_CODE, "city is missing: no category is set"),
        (one_hot(), "Paris", UNKNOWN_CODE, 'city: "Paris" is in no training row: no category is set'),
        (one_hot(unseen=("Oslo",)), "Oslo", UNKNOWN_CODE, 'city: "Oslo" is in no training row: no category is set'),
    ],
)
def test_parse_known_missing_or_unknown(encoder: OneHot, value: Any, code: int, warning: str | None) -> None:
    assert encoder.parse(value) == (code, warning)


def test_parse_list_is_refused() -> None:
    with pytest.raises(WrongValue, match="names a category"):
        one_hot().parse([1])
