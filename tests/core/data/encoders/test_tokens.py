"""Tests of core/data/encoders/tokens.py."""

import numpy as np
import pytest

from core.data.encoders.encoder import WrongValue
from core.data.encoders.tokens import (
    MAX_CHARACTERS_PER_TOKEN,
    most_frequent,
    normalized,
    numbered,
    parse_text,
    write_ids,
)


def test_normalized_is_composed_and_bounded() -> None:
    assert normalized("E\u0301", 4, lower=True) == "\u00e9"
    assert normalized(None, 4, lower=False) == ""
    assert len(normalized("a" * 10_000, 4, lower=False)) == 4 * MAX_CHARACTERS_PER_TOKEN


def test_most_frequent_first_then_by_code_point() -> None:
    assert most_frequent(["cab", "bc", "d"], 3) == ("b", "c", "a")
    assert numbered(("b", "c")) == {"b": 2, "c": 3}


def test_write_ids_leaves_padding() -> None:
    out = np.zeros((2, 3), np.float32)
    write_ids([[2], []], out)
    assert out.tolist() == [[2, 0, 0], [0, 0, 0]]


def test_parse_text_missing_is_warned_and_other_values_are_refused() -> None:
    assert parse_text("review", "fine") == ("fine", None)
    assert parse_text("review", None) == (None, "review is missing: a text without tokens is used")
    with pytest.raises(WrongValue, match='is "3": give a text'):
        parse_text("review", 3)
