"""Tests of core/data/encoders/subwords.py."""

from typing import Any

import numpy as np
import pytest

from core.data.encoders.subwords import SubwordsOptions
from tests.core.data.encoders.cases import REVIEW

TEXTS = np.array(["low lower lowest", "new newer newest", None, "wide wider widest"] * 5, object)


def encoded(options: SubwordsOptions, values: Any) -> Any:
    x = np.zeros((len(values), options.length), np.float32)
    options.fit(REVIEW, values, scaled=True).transform(values, x)
    return x


@pytest.mark.parametrize("model", ["bpe", "unigram"])
def test_fit_is_deterministic_and_its_ids_are_within_the_vocabulary(model: Any) -> None:
    options = SubwordsOptions(vocabulary=40, length=16, model=model)
    one, two = (options.fit(REVIEW, TEXTS, scaled=True) for _ in range(2))
    assert one == two
    assert 2 <= encoded(options, TEXTS).max() < 40


def test_pairs_are_merged() -> None:
    ids = encoded(SubwordsOptions(vocabulary=60, length=16), TEXTS)
    assert np.count_nonzero(ids[0]) < len("lowlowerlowest")
    assert not ids[2].any()


@pytest.mark.parametrize(
    "values",
    [[None], [""], ["  "], ["a"], ["".join(map(chr, range(0x4E00, 0x4E40)))], ["\0\x01"], ["a" * 100_000]],
    ids=["missing", "empty", "blank", "one", "more characters than ids", "control", "long"],
)
def test_fit_of_poor_texts_has_ids_within_the_vocabulary(values: list[Any]) -> None:
    assert encoded(SubwordsOptions(vocabulary=8, length=4), np.array(values, object)).max() < 8
