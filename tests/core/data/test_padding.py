"""Sequences of different lengths fill up to one, and are the same to a prediction as to the training."""

from typing import Any

import numpy as np
import pytest

from core.data import padding
from core.data.errors import InvalidData, InvalidInstance
from core.data.features import SequenceFeatures, features_from_json
from core.data.padding import Padding
from core.data.prepare import prepare, signature
from core.data.sources.source import Inline
from core.data.targets import Classes, Numbers

WORDS = [[1, 2, 3], [4], [5, 6]]


def words(**changes: Any) -> Inline:
    """Three sequences of words."""
    given: dict[str, Any] = {"x": WORDS, "y": [1, 2, 3], "padding": Padding()}
    return Inline(**given | changes)


PADDED: list[tuple[Padding, list[Any], list[Any]]] = [
    (Padding(), WORDS, [[1, 2, 3], [4, 0, 0], [5, 6, 0]]),
    (Padding(side="pre"), WORDS, [[1, 2, 3], [0, 0, 4], [0, 5, 6]]),
    (Padding(value=-1, maxlen=4), WORDS, [[1, 2, 3, -1], [4, -1, -1, -1], [5, 6, -1, -1]]),
    (Padding(value=9), [[[1, 2]], [[3, 4], [9, 5]]], [[[1, 2], [9, 9]], [[3, 4], [9, 5]]]),
    (Padding(), [[1, 2], [3, 4]], [[1, 2], [3, 4]]),
]


@pytest.mark.parametrize(("how", "x", "expected"), PADDED)
def test_rows_are_filled_up(how: Padding, x: list[Any], expected: list[Any]) -> None:
    data = Inline(x=x, y=[1.5] * len(x), padding=how)
    found = prepare(data, None, 0)
    assert found.x.tolist() == expected
    assert found.x.shape[1:] == signature(data, None).input_shape == found.features.input_shape


def test_a_prediction_fills_up_as_the_training_did() -> None:
    found = prepare(words(padding=Padding(value=7, side="pre", maxlen=4)), None, 0)
    features = features_from_json(found.features.to_json())
    assert features == found.features
    assert features.schema() == {"shape": [None], "most_steps": 4}
    assert features.encode(WORDS).x.tolist() == found.x.tolist()
    assert features.encode(np.array([[1, 2]])).x.tolist() == [[7, 7, 1, 2]]
    assert features.encode([]).x.shape == (0, 4)


def test_targets_of_each_step_are_filled_up_beside_their_steps() -> None:
    found = prepare(words(y=[[1, 0, 2], [2], [1, 1]], padding=Padding(side="pre")), None, 0)
    assert found.y.tolist() == [[1, 0, 2], [0, 0, 2], [0, 1, 1]]
    assert found.target.type == "numbers"


def test_classes_of_whole_rows_stay_as_they_are() -> None:
    found = prepare(words(y=["a", "b", "a"]), None, 0)
    assert found.target == Classes(names=("a", "b"))
    assert found.y.tolist() == [0, 1, 0]


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"x": [[1, 2], [0, 3]], "y": [1, 2]}, "/data/x/1/0", "stands for padding"),
    ({"x": [[[0, 1]], [[0, 0]]], "y": [1, 2]}, "/data/x/1/0", "stands for padding"),
    ({"x": [[1], 2], "y": [1, 2]}, "/data/x/1", "is no list"),
    ({"x": [[1], []], "y": [1, 2]}, "/data/x/1", "is empty"),
    ({"x": [[1], ["a"]], "y": [1, 2]}, "/data/x/1/0", "is a text"),
    ({"x": [[[1]], [[1, 2]]], "y": [1, 2]}, "/data/x/1", "steps of the shape (2,)"),
    ({"x": [[[1], [1, 2]]], "y": [1]}, "/data/x/0/1", "equally long"),
    ({"padding": Padding(maxlen=2)}, "/data/x/0", "has 3 steps, and 2 are the most"),
    ({"y": [[1, 2, 3], [1], [[1]]]}, "/data/y/2", "steps of the shape (1,)"),
    ({"y": [[1, 2, 3], [1], 1]}, "/data/y/2", "is a number"),
    ({"padding": None}, "/data/x/1", "or pad them"),
]


@pytest.mark.parametrize(("changes", "pointer", "message"), REFUSED)
def test_what_cannot_be_padded_is_refused_at_its_place(changes: dict[str, Any], pointer: str, message: str) -> None:
    with pytest.raises(InvalidData) as refused:
        signature(words(**changes), None)
    assert refused.value.pointer == pointer
    assert message in refused.value.message


@pytest.mark.parametrize(
    ("instances", "pointer", "message"),
    [
        ([[1], [1, 2, 3, 4]], "/instances/1", "has 4 steps"),
        ([[1], 2], "/instances/1", "is no list"),
        ([[[1, 2]]], "/instances/0", "give steps of the shape ()"),
        ([[1, "a"]], "/instances/0/1", "is a text"),
    ],
)
def test_an_instance_that_does_not_fit_is_refused_at_its_place(instances: Any, pointer: str, message: str) -> None:
    with pytest.raises(InvalidInstance) as refused:
        SequenceFeatures(shape=(3,), value=0, side="post").encode(instances)
    assert refused.value.pointer == pointer
    assert message in refused.value.message


def test_one_long_row_among_short_ones_cannot_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(padding, "MOST", 8)
    with pytest.raises(InvalidData, match="make 9 numbers, and 8 are allowed"):
        signature(words(), None)


def test_rows_of_different_numbers_of_targets_are_filled_up_and_say_so() -> None:
    arrays = Inline(x=[[1], [1, 2], [3]], y=[[5, 6, 7], [8], []], padding=Padding()).arrays()
    assert arrays.y.tolist() == [[5, 6, 7], [8, 0, 0], [0, 0, 0]]
    assert isinstance(arrays.target, Numbers)
    assert arrays.target.filled
