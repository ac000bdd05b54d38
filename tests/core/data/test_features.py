"""Instances become rows of x, in training and in prediction alike."""

import json
from typing import Any

import numpy as np
import pytest

from core.data.encoders.encoder import OneHot, Standardize
from core.data.errors import InvalidInstance
from core.data.features import (
    FEATURES,
    ArrayFeatures,
    Features,
    SequenceFeatures,
    TableFeatures,
    features_from_json,
)

TABLE = TableFeatures(
    encoders=(
        Standardize(column="age", mean=30.0, std=10.0, imputed=30.0, marked=True),
        OneHot(column="city/a", categories=("Bergen", "Oslo"), unseen=("Bergen",), marked=True),
        Standardize(column="n", mean=0.0, std=1.0, imputed=4.0, marked=False),
    )
)
ALL: dict[str, Features] = {
    "table": TABLE,
    "arrays": ArrayFeatures(shape=(2, 3)),
    "sequences": SequenceFeatures(shape=(4, 2), value=-1.0, side="pre"),
}


def test_every_kind_of_features_is_here() -> None:
    assert set(ALL) == set(FEATURES)


@pytest.mark.parametrize("features", ALL.values(), ids=ALL.keys())
def test_features_travel_as_json(features: Features) -> None:
    again = features_from_json(json.loads(json.dumps(features.to_json())))
    assert again == features
    assert again.input_shape == features.input_shape
    assert json.loads(json.dumps(again.schema())) == features.schema()


RECORDS: list[tuple[Any, list[float], list[str]]] = [
    ({"age": 40, "city/a": "Oslo", "n": 1, "more": 0}, [1, 0, 0, 1, 0, 1], []),
    ({"age": "20", "city/a": "Oslo", "n": " 2 "}, [-1, 0, 0, 1, 0, 2], []),
    ({"age": None, "city/a": "", "n": 1}, [0, 1, 0, 0, 1, 1], []),
    ([40, "Oslo", 1], [1, 0, 0, 1, 0, 1], []),
    ([40, "Bergen", None], [1, 0, 0, 0, 0, 4], ["Bergen", "the mean 4 stands in"]),
]


@pytest.mark.parametrize(("record", "x", "warnings"), RECORDS)
def test_a_record_is_encoded(record: Any, x: list[float], warnings: list[str]) -> None:
    found = TABLE.encode([record])
    assert found.x.tolist() == [x]
    assert found.x.dtype == np.float32
    assert all(text in warning for text, warning in zip(warnings, found.warnings[0], strict=True))


def test_each_record_has_its_own_warnings() -> None:
    assert list(map(len, TABLE.encode([record for record, _, _ in RECORDS]).warnings)) == [0, 0, 0, 0, 2]


def test_an_array_is_records_in_order() -> None:
    table = TableFeatures(encoders=(TABLE.encoders[0], TABLE.encoders[2]))
    assert table.encode(np.array([[40, 1], [np.nan, 2]])).x.tolist() == [[1, 0, 1], [0, 1, 2]]


def test_scaling_never_overflows() -> None:
    narrow = TableFeatures(encoders=(Standardize(column="a", mean=0.0, std=1e-300, imputed=0.0, marked=False),))
    assert np.isfinite(narrow.encode([{"a": 1e38}]).x).all()


def test_training_rows_are_written_as_records_are() -> None:
    values = {
        "age": np.array([40, 20, np.nan, 33.3]),
        "city/a": np.array([1, 1, -1, 0], np.int32),
        "n": np.array([1, 2, 1, np.nan]),
    }
    records = [[40, "Oslo", 1], [20, "Oslo", 2], [None, None, 1], [33.3, "Bergen", None]]
    rows = np.array([0, 2, 3])
    np.testing.assert_array_equal(TABLE.transform(values, rows), TABLE.encode(records).x[rows])


def test_blocks_are_seamless() -> None:
    table = TableFeatures(encoders=(TABLE.encoders[2],))
    values = np.arange(20_000.0)
    np.testing.assert_array_equal(table.transform({"n": values}, np.arange(20_000))[:, 0], values)


WRONG_RECORDS: list[tuple[Any, str, str]] = [
    ({"age": 1, "n": 2}, "/city~1a", "is not there"),
    ({"age": "old", "city/a": "Oslo", "n": 1}, "/age", 'is "old" where a number belongs'),
    ([1, "Oslo", True], "/2", "where a number belongs"),
    ([1, "Oslo"], "", "is a list of 2 values: give an object by column, or a list of 3 values"),
    (5, "", "is neither object nor list"),
]


@pytest.mark.parametrize(("record", "pointer", "message"), WRONG_RECORDS)
def test_a_wrong_record_is_named(record: Any, pointer: str, message: str) -> None:
    with pytest.raises(InvalidInstance, match=message) as caught:
        TABLE.encode([RECORDS[0][0], record])
    assert (caught.value.index, caught.value.pointer) == (1, f"/instances/1{pointer}")


@pytest.mark.parametrize("instances", [[6, 7.5], [[6], [7.5]], [6, [7.5]], np.array([6, 7.5]), np.array([[6], [7.5]])])
def test_a_plain_number_is_an_instance_of_one(instances: Any) -> None:
    assert ArrayFeatures(shape=(1,)).encode(instances).x.tolist() == [[6.0], [7.5]]


def test_no_instances_are_no_rows() -> None:
    assert [features.encode([]).x.shape for features in ALL.values()] == [(0, 6), (0, 2, 3), (0, 4, 2)]


def test_arrays_keep_their_shape() -> None:
    array = np.arange(12).reshape(2, 2, 3)
    found = ArrayFeatures(shape=(2, 3)).encode(array.tolist())
    np.testing.assert_array_equal(found.x, array)
    assert found.warnings == [[], []]


WRONG_ARRAYS: list[tuple[Any, int, str, str]] = [
    ([[1, 2], [1, 2, 3]], 1, "", r"has the shape \(3,\): give numbers of the shape \(2,\)"),
    ([[1], [1, 2]], 0, "", r"has the shape \(1,\)"),
    ([[1, 2], 3], 1, "", "is a single number"),
    ([[1, 2], [1, "a"]], 1, "/1", "is a text where a number belongs"),
    ([[1, 2], {"a": 1}], 1, "", "is an object where a number belongs"),
    ([[1, 2], [1, 10**400]], 1, "/1", "beyond what a float32 holds"),
    ([[1, 2], []], 1, "", "is empty"),
    (np.array([[1, 2], [3, np.nan]]), 1, "/1", "is not a number that a float32 holds"),
    (np.array([[1, 2, 3]]), 0, "", "has the shape"),
]


@pytest.mark.parametrize(("instances", "index", "path", "message"), WRONG_ARRAYS)
def test_a_wrong_array_is_named(instances: Any, index: int, path: str, message: str) -> None:
    with pytest.raises(InvalidInstance, match=message) as caught:
        ArrayFeatures(shape=(2,)).encode(instances)
    assert (caught.value.index, caught.value.pointer) == (index, f"/instances/{index}{path}")
