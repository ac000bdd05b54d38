"""Tests of core/data/encoders/characters.py."""

import numpy as np

from core.data.encoders.characters import CharactersOptions
from tests.core.data.encoders.cases import REVIEW


def test_fit_keeps_the_most_frequent_characters_of_the_beginnings() -> None:
    values = np.array(["aab", "Abz", None], object)
    assert CharactersOptions(length=2, vocabulary=4).fit(REVIEW, values, scaled=True).vocabulary == ("a", "A")
    assert CharactersOptions(length=2, vocabulary=4, lower=True).fit(REVIEW, values, scaled=True).vocabulary == (
        "a",
        "b",
    )
