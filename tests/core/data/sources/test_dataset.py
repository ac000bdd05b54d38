"""Tests of core/data/sources/dataset.py."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from core.data.errors import InvalidData
from core.data.features import features_from_json
from core.data.schema import Column, Schema
from core.data.sources.dataset import DatasetReference
from core.data.sources.source import StoredDataset
from core.data.targets.classes import Classes
from tests.core.data.readers.files import csv_schema

ARRAYS = Schema(
    format="npz",
    rows=9,
    columns=(
        Column(name="x", type="number", rows=9, min=0.0, max=1.0, shape=(2, 2)),
        Column(name="y", type="category", rows=9, classes=(("a", 4), ("b", 5))),
    ),
)


def a_table(path: Path) -> StoredDataset:
    return StoredDataset(path=path, schema=csv_schema(path, "age,city,pay\n20,Oslo,a\n,Bergen,b\n40,Oslo,a\n"))


def test_signature_of_a_table_has_the_width_of_its_encoders(tmp_path: Path) -> None:
    found = DatasetReference(id="ds_1", target="pay").signature(a_table(tmp_path / "table").schema)
    assert (found.rows, found.input_shape, found.class_counts) == (3, (4,), [2, 1])
    assert found.target == Classes(names=("a", "b"))


def test_signature_of_arrays_has_their_shape() -> None:
    found = DatasetReference(id="ds_1").signature(ARRAYS)
    assert (found.rows, found.input_shape, found.class_counts) == (9, (2, 2), [4, 5])


@pytest.mark.parametrize(("scaling", "ages"), [(None, [-1, 1]), ("standard", [-1, 1]), ("none", [20, 40])])
def test_scaling_is_fitted_on_the_training_rows(tmp_path: Path, scaling: Any, ages: list[float]) -> None:
    data = DatasetReference(id="ds_1", target="pay", features=["age"], scaling=scaling)
    loaded = data.load(a_table(tmp_path / "table"))
    train = np.array([0, 2])
    assert loaded.fit(train).transform(loaded.values, train)[:, 0].tolist() == ages


def test_scaling_of_arrays_is_refused() -> None:
    with pytest.raises(InvalidData, match="arrays are not scaled") as caught:
        DatasetReference(id="ds_1", scaling="standard").signature(ARRAYS)
    assert caught.value.pointer == "/data/scaling"


def test_missing_dataset_is_refused() -> None:
    for call in (DatasetReference(id="ds_1").signature, DatasetReference(id="ds_1").load):
        with pytest.raises(InvalidData, match="there is no such dataset") as caught:
            call(None)
        assert caught.value.pointer == "/data/id"


REVIEWS = "review,stars,good\n" + "".join(
    f"{'fine' if row % 2 else 'poor'} film {row},{row},{row % 2}\n" for row in range(8)
)


def of_json(**fields: Any) -> DatasetReference:
    return TypeAdapter(DatasetReference).validate_python({"type": "dataset", "id": "ds_1", "target": "good", **fields})


@pytest.mark.parametrize("kind", ["characters", "words", "subwords"])
@pytest.mark.parametrize("column_type", ["text", "category"])
def test_texts_are_encoded_as_ids(tmp_path: Path, kind: str, column_type: Any) -> None:
    stored = StoredDataset(
        path=tmp_path / "table", schema=csv_schema(tmp_path / "table", REVIEWS, types={"review": column_type})
    )
    encoder = {"type": kind, "length": 5, "vocabulary": 30}
    data = of_json(features=[{"column": "review", "encoder": encoder}])
    assert data.signature(stored.schema).input_shape == (5,)
    loaded = data.load(stored)
    features = loaded.fit(np.arange(6))
    x = features.transform(loaded.values, np.arange(8))
    assert (x.shape, x.dtype.name, float(x.max()) < 30) == ((8, 5), "float32", True)
    assert not np.array_equal(x[0], x[1])
    texts = [{"review": f"{'fine' if row % 2 else 'poor'} film {row}"} for row in range(8)]
    again = features_from_json(json.loads(json.dumps(features.to_json())))
    assert again.encode(texts).x.tolist() == x.tolist()


def test_features_are_names_or_objects_and_round_trip() -> None:
    sent = {
        "features": ["stars", {"column": "review"}, {"column": "x", "encoder": {"type": "words", "length": 3}}, "y"]
    }
    adapter = TypeAdapter(DatasetReference)
    data = of_json(**sent)
    assert adapter.validate_json(adapter.dump_json(data)) == data
    assert data.features is not None
    assert [getattr(one, "column", one) for one in data.features] == ["stars", "review", "x", "y"]


@pytest.mark.parametrize(
    ("feature", "kind"),
    [
        ({"column": "a", "encoder": {"type": "word"}}, "union_tag_invalid"),
        ({"column": "a", "encoder": {"type": "words", "length": 0}}, "greater_than_equal"),
        ({"encoder": "words"}, "missing"),
        ({"column": "a" * 257}, "string_too_long"),
        (3, "dataclass_type"),
        ("a" * 257, "string_too_long"),
    ],
)
def test_wrong_feature_has_one_error(feature: Any, kind: str) -> None:
    with pytest.raises(ValidationError) as caught:
        of_json(features=["a", feature])
    assert [error["type"] for error in caught.value.errors()] == [kind]
