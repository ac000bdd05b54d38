"""Tests of core/data/encoders/tokens.py."""

import numpy as np
import pytest

from core.data.encoders.encoder import WrongValue
from core.data.encoders.tokens import MAX_CHARACTERS_PER_TOKEN, PADDING, most_frequent, normalized, numbered
from core.data.encoders.words import Words


def test_normalized_is_composed_and_bounded() -> None:
    assert normalized("E\u0301", 4, lower=True) == "\u00e9"
    assert normalized(None, 4, lower=False) == ""
    assert len(normalized("a" * 10_000, 4, lower=False)) == 4 * MAX_CHARACTERS_PER_TOKEN


def test_most_frequent_first_then_by_code_point() -> None:
    assert most_frequent(["cab", "bc", "d"], 3) == ("b", "c", "a")
    assert numbered(("b", "c")) == {"b": 2, "c": 3}


def test_short_texts_are_padded() -> None:
    out = np.zeros((2, 3), np.float32)
    words(("good",)).transform(np.array(["good", None], object), out)
    assert out.tolist() == [[2, PADDING, PADDING], [PADDING] * 3]


def test_parse_text_missing_is_warned_and_other_values_are_refused() -> None:
    encoder = words(("good",))
    assert encoder.parse("fine") == ("fine", None)
    assert encoder.parse(None) == (None, "review is missing: a text without tokens is used")
    with pytest.raises(WrongValue, match='is "3": give a text'):
        encoder.parse(3)


def words(vocabulary: tuple[str, ...]) -> Words:
    return Words(column="review", length=3, lower=True, vocabulary=vocabulary)
