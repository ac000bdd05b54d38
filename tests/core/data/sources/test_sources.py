"""Tests of core/data/sources: every source keeps the interface, and reads its JSON."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from core.data.sources import Data
from core.data.sources.builtin import Builtin
from core.data.sources.dataset import DatasetReference
from core.data.sources.inline import Inline
from core.data.sources.source import Source, StoredDataset
from core.nn.tagged_union import members
from tests.core.data.readers.files import csv_schema

SPECS: dict[str, dict[str, Any]] = {
    "inline": {"type": "inline", "x": [[1], [2]], "y": [2, 4], "validation": {"fraction": 0.5, "stratify": True}},
    "builtin": {"type": "builtin", "name": "moons", "rows": 10, "noise": 0.5, "seed": 3},
    "dataset": {"type": "dataset", "id": "ds_1", "features": ["a"], "target": "b", "scaling": "none"},
}
DATA: TypeAdapter[Inline | Builtin | DatasetReference] = TypeAdapter(Data)
EACH = pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS.keys())


def test_every_source_has_a_spec() -> None:
    assert set(SPECS) == set(members(Data))


@EACH
def test_json_round_trip_gives_an_equal_source(spec: dict[str, Any]) -> None:
    data = DATA.validate_json(json.dumps(spec), strict=True)
    assert {**DATA.dump_python(data, mode="json"), **spec} == DATA.dump_python(data, mode="json")


@EACH
def test_signature_has_the_shapes_of_the_loaded_rows(spec: dict[str, Any], tmp_path: Path) -> None:
    data: Source = DATA.validate_python(spec)
    path = tmp_path / "table"
    dataset = StoredDataset(path=path, schema=csv_schema(path, "a,b\n1,x\n2,y\n3,x\n"))
    assert (data.dataset_id is not None) == (data.type == "dataset")
    signature = data.signature(dataset.schema if data.dataset_id else None)
    loaded = data.load(dataset if data.dataset_id else None)
    rows = np.arange(signature.rows)
    features = loaded.fit(rows)
    assert features.transform(loaded.values, rows).shape == (signature.rows, *signature.input_shape)
    assert features.input_shape == signature.input_shape
    assert (loaded.target, loaded.class_counts()) == (signature.target, signature.class_counts)
    assert loaded.y.nbytes == signature.rows * signature.target.row_bytes


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
def test_spec_outside_the_bounds_is_refused(spec: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        DATA.validate_json(json.dumps(spec), strict=True)
