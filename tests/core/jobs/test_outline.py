"""The outline of a large spec keeps what is small."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.jobs.examples import DOUBLING
from core.jobs.outline import MAX_TEXT_BYTES, MAX_VALUE_COST, OMITTED, outline


def outlined(spec: dict[str, Any]) -> Any:
    return json.loads(outline(json.dumps(spec).encode()))


def test_outline_of_a_small_spec_is_the_spec() -> None:
    assert outlined(DOUBLING) == DOUBLING


def test_outline_of_large_data_keeps_all_other_fields() -> None:
    rows = [[number] for number in range(MAX_VALUE_COST)]
    data = {"type": "inline", "x": rows, "y": rows, "validation": {"fraction": 0.25}}
    found = outlined(DOUBLING | {"data": data})
    assert found.pop("data") == {"type": "inline", "x": OMITTED, "y": OMITTED, "validation": {"fraction": 0.25}}
    assert found == {name: value for name, value in DOUBLING.items() if name != "data"}


def test_outline_of_a_large_network_omits_its_layers() -> None:
    layers = [{"type": "dense", "units": 1}] * 2000
    assert outlined(DOUBLING | {"architecture": {"layers": layers}})["architecture"] == {"layers": OMITTED}


@pytest.mark.parametrize("value", ["é" * 10**5, [[]] * 10**5, [[["x" * 10**5]]], {"a": {"b": {"c": [1] * 10**5}}}])
def test_outline_of_any_large_value_is_short(value: Any) -> None:
    assert len(outline(json.dumps({"data": value, "name": "n"}, ensure_ascii=False).encode())) < MAX_TEXT_BYTES // 8


JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(st.text(max_size=5), inner, max_size=8),
    max_leaves=30,
)


@given(spec=st.dictionaries(st.text(max_size=5), JSON, max_size=5))
def test_outline_of_anything_small_is_unchanged(spec: dict[str, Any]) -> None:
    assert outlined(spec) == spec
