"""Data that stands in a spec, as JSON brings it."""

import json
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from core.data.errors import InvalidData
from core.data.sources.builtin import Builtin
from core.data.sources.source import Data, DatasetReference, Inline
from core.data.targets import Classes, Numbers
from core.nn.tagged_union import members

SPECS: dict[str, dict[str, Any]] = {
    "inline": {"type": "inline", "x": [[1], [2]], "y": [2, 4], "validation": {"fraction": 0.5, "stratify": True}},
    "builtin": {"type": "builtin", "name": "moons", "rows": 10, "noise": 0.5, "seed": 3},
    "dataset": {"type": "dataset", "id": "ds_1", "features": ["a"], "target": "b", "scaling": "none"},
}
DATA: TypeAdapter[Inline | Builtin | DatasetReference] = TypeAdapter(Data)


def test_every_source_has_its_spec_here() -> None:
    assert set(SPECS) == set(members(Data))


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS.keys())
def test_json_names_its_source(spec: dict[str, Any]) -> None:
    data = DATA.validate_json(json.dumps(spec), strict=True)
    assert {**DATA.dump_python(data, mode="json"), **spec} == DATA.dump_python(data, mode="json")


BOUNDS: list[dict[str, Any]] = [
    {"type": "inline", "x": [], "y": [1]},
    {"type": "builtin", "name": "moon"},
    {"type": "builtin", "name": "moons", "rows": 0},
    {"type": "builtin", "name": "moons", "rows": 10**6},
    {"type": "builtin", "name": "moons", "noise": 11},
    {"type": "builtin", "name": "moons", "seed": -1},
    {"type": "dataset", "id": "a", "features": []},
    {"type": "dataset", "id": "a", "scaling": "minmax"},
    {"type": "inline", "x": [1], "y": [1], "validation": {"fraction": 1}},
    {"type": "inline", "x": [1], "y": [1], "validation": {"fraction": 0}},
    {"type": "file", "path": "/etc/passwd"},
]


@pytest.mark.parametrize("spec", BOUNDS)
def test_bounds_are_kept(spec: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        DATA.validate_json(json.dumps(spec), strict=True)


def test_plain_numbers_are_rows_of_one() -> None:
    x, y, target, _ = Inline(x=[1, 2, 3], y=[2, 4, 6]).arrays()
    assert (x.shape, y.shape) == ((3, 1), (3, 1))
    assert target == Numbers(shape=(1,), integers=True, least=2, most=6, distinct=3)


def test_rows_may_be_of_any_shape() -> None:
    x, y, target, _ = Inline(x=[[[1], [2]]] * 3, y=[[0.5, 1]] * 3).arrays()
    assert (x.shape, y.shape, target.shape if isinstance(target, Numbers) else None) == ((3, 2, 1), (3, 2), (2,))


def test_texts_and_booleans_name_classes() -> None:
    _, ids, target, _ = Inline(x=[1, 2, 3], y=["b", "a", "b"]).arrays()
    assert (ids.tolist(), target) == ([1, 0, 1], Classes(names=("a", "b")))
    _, ids, target, _ = Inline(x=[1, 2], y=[True, False]).arrays()
    assert (ids.tolist(), target) == ([1, 0], Classes(names=("false", "true")))


WRONG: list[tuple[list[Any], list[Any], str, str]] = [
    ([[1], [2, 3]], [1, 2], "/data/x/1", "holds 2 values where the first holds 1"),
    ([[1], ["a"]], [1, 2], "/data/x/1/0", "is a text where a number belongs"),
    ([1, True], [1, 2], "/data/x/1", "is a boolean"),
    ([1, 10**400], [1, 2], "/data/x/1", "beyond what a float32 holds"),
    ([1, 2], [1], "/data/y", "has 1 rows where x has 2"),
    ([1, 2], [1, "a"], "/data/y", "mixes numbers, texts and booleans"),
    ([1, 2], [True, "a"], "/data/y", "mixes numbers, texts and booleans"),
    ([1, 2], ["a", "a"], "/data/y", 'holds the class "a" alone'),
    ([1, 2], ["a", "b\0"], "/data/y", "NUL"),
    ([1, 2], [["a"], ["b"]], "/data/y/0/0", "is a text where a number belongs"),
    (list(range(1001)), [str(n) for n in range(1001)], "/data/y", "holds 1001 different classes"),
]


@pytest.mark.parametrize(("x", "y", "pointer", "message"), WRONG)
def test_what_is_wrong_is_named_by_its_place(x: list[Any], y: list[Any], pointer: str, message: str) -> None:
    with pytest.raises(InvalidData, match=message) as caught:
        Inline(x=x, y=y).arrays()
    assert caught.value.pointer == pointer


@pytest.mark.parametrize(
    ("weights", "message"),
    [([1.0], "has 1 numbers where x has 2"), ([0.0, 0.0], "some of them above 0"), ([1.0, 1e300], "a float32 holds")],
)
def test_wrong_weights_are_refused(weights: list[float], message: str) -> None:
    with pytest.raises(InvalidData, match=message) as caught:
        Inline(x=[1, 2], y=[1, 2], sample_weight=weights).arrays()
    assert caught.value.pointer == "/data/sample_weight"


def test_large_arrays_take_a_moment() -> None:
    x = np.arange(1_000_000.0).reshape(-1, 10).tolist()
    assert Inline(x=x, y=[0.0] * 100_000).arrays().x.shape == (100_000, 10)
