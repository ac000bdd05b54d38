"""Tests of core/data/sources/inline.py."""

from typing import Any

import numpy as np
import pytest

from core.data import padding
from core.data.errors import InvalidData
from core.data.features import features_from_json
from core.data.padding import Padding
from core.data.prepare import prepare, signature
from core.data.sources.inline import Inline
from core.data.targets.classes import Classes
from core.data.targets.numbers import Numbers

SEQUENCES = [[1, 2, 3], [4], [5, 6]]


def sequences(**changes: Any) -> Inline:
    given: dict[str, Any] = {"x": SEQUENCES, "y": [1, 2, 3], "padding": Padding()}
    return Inline(**given | changes)


def test_plain_numbers_are_rows_of_one_number() -> None:
    x, y, target, _ = Inline(x=[1, 2, 3], y=[2, 4, 6]).arrays()
    assert (x.shape, y.shape) == ((3, 1), (3, 1))
    assert target == Numbers(shape=(1,), integers=True, min=2, max=6, distinct=3)


def test_rows_may_have_any_shape() -> None:
    x, y, target, _ = Inline(x=[[[1], [2]]] * 3, y=[[0.5, 1]] * 3).arrays()
    assert (x.shape, y.shape, target.shape if isinstance(target, Numbers) else None) == ((3, 2, 1), (3, 2), (2,))


def test_texts_and_booleans_are_classes() -> None:
    _, ids, target, _ = Inline(x=[1, 2, 3], y=["b", "a", "b"]).arrays()
    assert (ids.tolist(), target) == ([1, 0, 1], Classes(names=("a", "b")))
    _, ids, target, _ = Inline(x=[1, 2], y=[True, False]).arrays()
    assert (ids.tolist(), target) == ([1, 0], Classes(names=("false", "true")))


WRONG: list[tuple[list[Any], list[Any], str, str]] = [
    ([[1], [2, 3]], [1, 2], "/data/x/1", "has 2 values and the first has 1"),
    ([[1], ["a"]], [1, 2], "/data/x/1/0", "is a text: give a number"),
    ([1, True], [1, 2], "/data/x/1", "is a boolean"),
    ([1, 10**400], [1, 2], "/data/x/1", "outside the range of float32"),
    ([1, 2], [1], "/data/y", "has 1 rows and x has 2"),
    ([1, 2], [1, "a"], "/data/y", "mixes texts or booleans"),
    ([1, 2], [True, "a"], "/data/y", "mixes texts or booleans"),
    ([1, 2], ["a", "a"], "/data/y", 'has only the class "a"'),
    ([1, 2], ["a", "b\0"], "/data/y", "NUL"),
    ([1, 2], [["a"], ["b"]], "/data/y/0/0", "is a text: give a number"),
    (list(range(1001)), [str(n) for n in range(1001)], "/data/y", "has 1001 different classes"),
]


@pytest.mark.parametrize(("x", "y", "pointer", "message"), WRONG)
def test_wrong_value_names_its_place(x: list[Any], y: list[Any], pointer: str, message: str) -> None:
    with pytest.raises(InvalidData, match=message) as caught:
        Inline(x=x, y=y).arrays()
    assert caught.value.pointer == pointer


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0], "has 1 numbers and x has 2"),
        ([0.0, 0.0], "at least one of them above 0"),
        ([1.0, 1e300], "the range of float32"),
    ],
)
def test_wrong_weights_are_refused(weights: list[float], message: str) -> None:
    with pytest.raises(InvalidData, match=message) as caught:
        Inline(x=[1, 2], y=[1, 2], sample_weight=weights).arrays()
    assert caught.value.pointer == "/data/sample_weight"


def test_million_numbers_are_converted() -> None:
    x = np.arange(1_000_000.0).reshape(-1, 10).tolist()
    assert Inline(x=x, y=[0.0] * 100_000).arrays().x.shape == (100_000, 10)


PADDED: list[tuple[Padding, list[Any], list[Any]]] = [
    (Padding(), SEQUENCES, [[1, 2, 3], [4, 0, 0], [5, 6, 0]]),
    (Padding(side="pre"), SEQUENCES, [[1, 2, 3], [0, 0, 4], [0, 5, 6]]),
    (Padding(value=-1, maxlen=4), SEQUENCES, [[1, 2, 3, -1], [4, -1, -1, -1], [5, 6, -1, -1]]),
    (Padding(value=9), [[[1, 2]], [[3, 4], [9, 5]]], [[[1, 2], [9, 9]], [[3, 4], [9, 5]]]),
    (Padding(), [[1, 2], [3, 4]], [[1, 2], [3, 4]]),
]


@pytest.mark.parametrize(("how", "x", "expected"), PADDED)
def test_padded_rows_are_equally_long(how: Padding, x: list[Any], expected: list[Any]) -> None:
    data = Inline(x=x, y=[1.5] * len(x), padding=how)
    found = prepare(data, None, 0)
    assert found.x.tolist() == expected
    assert found.x.shape[1:] == signature(data, None).input_shape == found.features.input_shape


def test_targets_of_each_step_are_padded_beside_their_steps() -> None:
    found = prepare(sequences(y=[[1, 0, 2], [2], [1, 1]], padding=Padding(side="pre")), None, 0)
    assert found.y.tolist() == [[1, 0, 2], [0, 0, 2], [0, 1, 1]]
    assert found.target.type == "numbers"


def test_classes_of_padded_rows_are_one_for_each_row() -> None:
    found = prepare(sequences(y=["a", "b", "a"]), None, 0)
    assert found.target == Classes(names=("a", "b"))
    assert found.y.tolist() == [0, 1, 0]


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"x": [[1, 2], [0, 3]], "y": [1, 2]}, "/data/x/1/0", "the padding value"),
    ({"x": [[[0, 1]], [[0, 0]]], "y": [1, 2]}, "/data/x/1/0", "the padding value"),
    ({"x": [[1], 2], "y": [1, 2]}, "/data/x/1", "is not a list"),
    ({"x": [[1], []], "y": [1, 2]}, "/data/x/1", "is empty"),
    ({"x": [[1], ["a"]], "y": [1, 2]}, "/data/x/1/0", "is a text"),
    ({"x": [[[1]], [[1, 2]]], "y": [1, 2]}, "/data/x/1", "steps of the shape (2,)"),
    ({"x": [[[1], [1, 2]]], "y": [1]}, "/data/x/0/1", "equally long"),
    ({"padding": Padding(maxlen=2)}, "/data/x/0", "has 3 steps, more than 2"),
    ({"y": [[1, 2, 3], [1], [[1]]]}, "/data/y/2", "steps of the shape (1,)"),
    ({"y": [[1, 2, 3], [1], 1]}, "/data/y/2", "is a number"),
    ({"padding": None}, "/data/x/1", "or set padding"),
]


@pytest.mark.parametrize(("changes", "pointer", "message"), REFUSED)
def test_rows_that_cannot_be_padded_name_their_place(changes: dict[str, Any], pointer: str, message: str) -> None:
    with pytest.raises(InvalidData) as refused:
        signature(sequences(**changes), None)
    assert refused.value.pointer == pointer
    assert message in refused.value.message


def test_targets_of_different_lengths_are_padded_at_their_end() -> None:
    arrays = Inline(x=[[1], [1, 2], [3]], y=[[5, 6, 7], [8], []], padding=Padding()).arrays()
    assert arrays.y.tolist() == [[5, 6, 7], [8, 0, 0], [0, 0, 0]]
    assert isinstance(arrays.target, Numbers)
    assert arrays.target.padded


def test_prediction_pads_as_training_did() -> None:
    found = prepare(sequences(padding=Padding(value=7, side="pre", maxlen=4)), None, 0)
    assert features_from_json(found.features.to_json()) == found.features
    assert found.features.encode(SEQUENCES).x.tolist() == found.x.tolist()


def test_one_long_row_among_short_ones_cannot_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(padding, "MAX_PADDED_NUMBERS", 8)
    with pytest.raises(InvalidData, match="has 9 numbers, more than 8"):
        signature(sequences(), None)
