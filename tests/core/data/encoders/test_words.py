"""Tests of core/data/encoders/words.py."""

import numpy as np
import pytest

from core.data.encoders.words import WordsOptions, words_of
from tests.core.data.encoders.cases import REVIEW


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It isn't.", ["it", "isn", "'", "t", "."]),
        ("\u00c9t\u00e9 2026 \u6771\u4eac", ["\u00e9t\u00e9", "2026", "\u6771\u4eac"]),
        ("snake_case\t\n", ["snake_case"]),
        (None, []),
    ],
)
def test_words_of(text: str | None, words: list[str]) -> None:
    assert words_of(text, 9, lower=True) == words


def test_fit_keeps_the_most_frequent_words() -> None:
    values = np.array(["Red red blue", "green blue red"], object)
    found = WordsOptions(length=9, vocabulary=4).fit(REVIEW, values, scaled=True)
    assert found.vocabulary == ("red", "blue")
