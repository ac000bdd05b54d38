"""Tests of core/data/sources/dataset.py."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.data.errors import InvalidData
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
