"""Tests of core/data/features/table.py."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from core.data.encoders.one_hot import OneHot
from core.data.encoders.standard import Standardize
from core.data.errors import InvalidInstance
from core.data.features.table import TableFeatures
from core.data.seen import Seen
from core.warnings import MAX_WARNINGS

TABLE = TableFeatures(
    encoders=(
        Standardize(column="age", mean=30.0, std=10.0, imputed=30.0, marked=True),
        OneHot(column="city/a", categories=("Bergen", "Oslo"), unseen=("Bergen",), marked=True),
        Standardize(column="n", mean=0.0, std=1.0, imputed=4.0, marked=False),
    )
)

RECORDS: list[tuple[Any, list[float], list[str]]] = [
    ({"age": 40, "city/a": "Oslo", "n": 1, "more": 0}, [1, 0, 0, 1, 0, 1], ['"more" is no column of this model']),
    ({"age": "20", "city/a": "Oslo", "n": " 2 "}, [-1, 0, 0, 1, 0, 2], []),
    ({"age": None, "city/a": "", "n": 1}, [0, 1, 0, 0, 1, 1], []),
    ([40, "Oslo", 1], [1, 0, 0, 1, 0, 1], []),
    ([40, "Bergen", None], [1, 0, 0, 0, 0, 4], ["Bergen", "the mean 4 is used"]),
]


@pytest.mark.parametrize(("record", "x", "warnings"), RECORDS)
def test_encode_a_record(record: Any, x: list[float], warnings: list[str]) -> None:
    found = TABLE.encode([record])
    assert found.x.tolist() == [x]
    assert found.x.dtype == np.float32
    assert all(text in warning.message for text, warning in zip(warnings, found.warnings[0], strict=True))


def test_encode_keeps_warnings_with_their_record() -> None:
    assert list(map(len, TABLE.encode([record for record, _, _ in RECORDS]).warnings)) == [1, 0, 0, 0, 2]


def test_encode_an_array_takes_columns_in_order() -> None:
    table = TableFeatures(encoders=(TABLE.encoders[0], TABLE.encoders[2]))
    assert table.encode(np.array([[40, 1], [np.nan, 2]])).x.tolist() == [[1, 0, 1], [0, 1, 2]]


def test_transform_writes_the_same_bits_as_encode() -> None:
    values = {
        "age": np.array([40, 20, np.nan, 33.3]),
        "city/a": np.array([1, 1, -1, 0], np.int32),
        "n": np.array([1, 2, 1, np.nan]),
    }
    records = [[40, "Oslo", 1], [20, "Oslo", 2], [None, None, 1], [33.3, "Bergen", None]]
    rows = np.array([0, 2, 3])
    assert TABLE.transform(values, rows).tobytes() == TABLE.encode(records).x[rows].tobytes()


def test_transform_of_many_blocks_keeps_every_row() -> None:
    table = TableFeatures(encoders=(TABLE.encoders[2],))
    values = np.arange(20_000.0)
    np.testing.assert_array_equal(table.transform({"n": values}, np.arange(20_000))[:, 0], values)


WRONG_RECORDS: list[tuple[Any, str, str]] = [
    ({"age": 1, "n": 2}, "/city~1a", "is not there"),
    ({"age": "old", "city/a": "Oslo", "n": 1}, "/age", 'is "old": give a number'),
    ([1, "Oslo", True], "/2", "give a number"),
    ([1, "Oslo"], "", "is a list of 2 values: give an object by column, or a list of 3 values"),
    (5, "", "is neither an object nor a list"),
]


@pytest.mark.parametrize(("record", "pointer", "message"), WRONG_RECORDS)
def test_encode_wrong_record_names_its_place(record: Any, pointer: str, message: str) -> None:
    with pytest.raises(InvalidInstance, match=message) as caught:
        TABLE.encode([RECORDS[0][0], record])
    assert (caught.value.index, caught.value.pointer) == (1, f"/instances/1{pointer}")


def test_values_far_from_the_training_rows_are_warned_about_at_their_place() -> None:
    seen = Seen(min=0, max=10, mean=5, std=2)
    table = TableFeatures(encoders=(Standardize(column="a/b", mean=5, std=2, imputed=5, marked=False, seen=seen),))
    records = [{"a/b": 11}, {"a/b": "1000"}, [-50.0], {"a/b": None}]
    found = table.encode(records).warnings
    assert [[(one.code, one.pointer) for one in warnings] for warnings in found] == [
        [],
        [("far_outside", "/a~1b")],
        [("far_outside", "/0")],
        [("doubtful_value", "/a~1b")],
    ]
    assert found[1][0].message == "a/b: 1000 is far from the training rows, which go from 0 to 10"


def test_warnings_of_one_record_are_bounded() -> None:
    encoder = OneHot(column="c", categories=("a",), unseen=(), marked=False)
    table = TableFeatures(encoders=tuple(replace(encoder, column=f"c{number}") for number in range(50)))
    assert len(table.encode([["b"] * 50]).warnings[0]) == MAX_WARNINGS
