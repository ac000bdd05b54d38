"""Tests of core/data/padding.py."""

import numpy as np
import pytest

from core.data import padding
from core.data.nested_lists import NotNumbers
from core.data.padding import pad_sequences, require_no_padding_value, sequences_from_lists


@pytest.mark.parametrize(("side", "expected"), [("post", [[1, 2], [3, 9]]), ("pre", [[1, 2], [9, 3]])])
def test_pad_sequences_pads_on_its_side(side: str, expected: list[list[int]]) -> None:
    assert pad_sequences(sequences_from_lists([[1, 2], [3]]), 2, 9, side).tolist() == expected


def test_pad_sequences_of_vectors_keeps_their_shape() -> None:
    rows = sequences_from_lists([[[1, 2]], [[3, 4], [5, 6]]])
    assert pad_sequences(rows, 2, 0, "post").tolist() == [[[1, 2], [0, 0]], [[3, 4], [5, 6]]]


def test_pad_sequences_with_too_many_numbers_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(padding, "MAX_PADDED_NUMBERS", 8)
    with pytest.raises(NotNumbers, match="has 9 numbers, more than 8"):
        pad_sequences(sequences_from_lists([[1, 2, 3], [4], [5]]), 3, 0, "post")


def test_padding_value_in_the_data_is_refused() -> None:
    require_no_padding_value([np.array([[0.0, 1.0]])], 0)
    with pytest.raises(NotNumbers, match="the padding value") as refused:
        require_no_padding_value([np.array([1.0]), np.array([2.0, 0.0])], 0)
    assert refused.value.pointer == "/1/1"
