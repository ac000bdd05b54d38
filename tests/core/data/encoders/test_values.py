"""Encoders of values that come as texts, fitted: categories by hash and by id, booleans, tags, lists of numbers."""

from typing import Any

import numpy as np
import pytest

from core.data.encoders.boolean import BooleanOptions
from core.data.encoders.embedding import EmbeddingOptions
from core.data.encoders.encoder import WrongValue
from core.data.encoders.hashing import HashingOptions, place
from core.data.encoders.tags import TagsOptions, tags_of
from core.data.encoders.values import texts_of
from core.data.encoders.vector import VectorOptions
from core.data.errors import InvalidFile
from core.data.schema import Column

NOTE = Column(name="note", type="text", rows=9)


def texts(*values: str | None) -> Any:
    return np.array(values, object)


@pytest.mark.parametrize(
    ("value", "found"),
    [(" a ", ["a"]), (3, ["3", "3.0"]), (True, ["true", "True", "TRUE", "1"]), ("NA", []), (None, []), (np.nan, [])],
)
def test_texts_that_a_value_may_have_in_a_file(value: Any, found: list[str]) -> None:
    assert texts_of(value) == found


def test_places_of_hashes_spread_and_never_change() -> None:
    places = [place(f"value {number}", 16) for number in range(1600)]
    counts = np.bincount(places, minlength=16)
    assert (counts.min() > 60, counts.max() < 140) == (True, True)
    assert places[:4] == [12, 11, 3, 4]
    assert place(" value 0 ", 16) == places[0]
    assert HashingOptions(buckets=7).fit(NOTE, texts("a"), scaled=True).shape == (7,)


def test_most_frequent_categories_get_ids_and_others_are_warned_of() -> None:
    encoder = EmbeddingOptions(vocabulary=4).fit(NOTE, texts("b", "c", "a", "b", None, "c", "b"), scaled=True)
    assert encoder.vocabulary == ("b", "c")
    assert encoder.parse("a") == ("a", 'note: "a" is in no training row, or in too few')


@pytest.mark.parametrize("value", ["Yes", "TRUE", "t", "1", 1, True, "x", "oui"])
def test_words_for_true(value: Any) -> None:
    encoder = BooleanOptions().fit(NOTE, texts(), scaled=True)
    out = np.zeros((1, 1), np.float32)
    encoder.transform(texts(encoder.parse(value)[0]), out)
    assert out.item() == 1


def test_truth_values_of_a_column_of_other_words_are_doubted() -> None:
    encoder = BooleanOptions(true="paid").fit(NOTE, texts(), scaled=True)
    assert encoder.parse(True)[1] == 'note: "paid" is encoded as 1, and true is another value'
    assert encoder.parse("open")[1] is None


def test_most_frequent_tags_have_places() -> None:
    encoder = TagsOptions(vocabulary=2).fit(NOTE, texts("a, b", "b,b,c", None, " c ,, b"), scaled=True)
    assert encoder.tags == ("b", "c")
    assert tags_of(" c ,, b, c", ",") == ["c", "b"]
    assert encoder.parse(["a", "b"]) == ("a,b", 'note: "a" is in no training row, or in too few')


def test_cell_that_has_no_list_of_numbers_is_named() -> None:
    encoder = VectorOptions(length=2).fit(NOTE, texts(), scaled=True)
    with pytest.raises(InvalidFile, match='column "note": "1 2 3" has 3 numbers and not 2'):
        encoder.transform(texts("1 2", "1 2 3"), np.zeros((2, 2), np.float32))
    with pytest.raises(WrongValue, match="must have 2 numbers in the range of float32"):
        encoder.parse([1, 1e300])
