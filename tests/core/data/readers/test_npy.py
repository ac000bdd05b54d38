"""Tests of core/data/readers/npy.py and numpy_array.py."""

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.data.errors import InvalidFile
from core.data.readers.npy import Npy
from core.data.schema import Limits
from tests.core.data.readers.files import npy_bytes, npy_schema


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "array.npy"


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["f8", "f4", "f2", ">f8", "i8", "u1", ">i4", "?"])
def test_infer_schema_and_load_of_each_number_type(path: Path, dtype: str, order: Any) -> None:
    array = np.array([[0, 1, 1], [1, 0, 1]]).astype(dtype, order=order)
    schema = npy_schema(path, array)
    assert (schema.rows, [column.name for column in schema.columns]) == (2, ["0", "1", "2"])
    assert schema.columns[1].classes == (("0", 1), ("1", 1))
    loaded = Npy().load(path, schema, schema.columns[:2])
    assert {name: values.tolist() for name, values in loaded.items()} == {"0": [0, 1], "1": [1, 0]}
    assert Npy().rows(path, schema, 1, 5) == [{"0": 1, "1": 0, "2": 1}]


def test_flat_array_is_one_column(path: Path) -> None:
    schema = npy_schema(path, np.array([1.5, 2.5]))
    assert (schema.rows, schema.columns[0].mean, schema.columns[0].classes) == (2, 2.0, ())


def test_nan_is_missing(path: Path) -> None:
    schema = npy_schema(path, np.array([[1.0, np.nan], [3.0, 4.0]]))
    assert [column.missing for column in schema.columns] == [0, 1]
    assert Npy().rows(path, schema, 0, 1) == [{"0": 1.0, "1": None}]


def test_infer_schema_and_load_of_many_blocks_keep_every_row(path: Path) -> None:
    array = np.arange(1_500_000.0).reshape(-1, 3)
    schema = npy_schema(path, array)
    assert schema.columns[2].mean == pytest.approx(array[:, 2].mean())
    np.testing.assert_array_equal(Npy().load(path, schema, schema.columns[2:])["2"], array[:, 2])
    assert Npy().rows(path, schema, 400_000, 1) == [dict(zip("012", array[400_000].tolist(), strict=True))]


def with_header(text: str, data: bytes = b"") -> bytes:
    header = text.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + data


HEADER = "{'descr': '<f8', 'fortran_order': False, 'shape': %s}"

WRONG: list[tuple[Any, str]] = [
    (b"", "is not an array"),
    (b"\x93NUMPY\x01", "is not an array"),
    (npy_bytes([1.0])[:-4], "has 4 bytes of values, and its header says 8"),
    (npy_bytes([1.0]) + b"more", "has 12 bytes of values, and its header says 8"),
    (with_header(HEADER % "(10000000,)"), "its header says 80000000"),
    (with_header(HEADER % "(100000000000, 1000000000000)"), "more than 100000000"),
    (with_header(HEADER % "(-1,)"), "is empty"),
    (with_header(HEADER % "('a',)"), "is not an array"),
    (with_header("__import__('os').getcwd()"), "is not an array"),
    (with_header("{'descr': '<U0', 'fortran_order': False, 'shape': (1,)}"), "is of type <U0"),
    (npy_bytes(np.array([object()], dtype=object)), "is of type object"),
    (npy_bytes(np.zeros(2, "c16")), "is of type complex128"),
    (npy_bytes(np.zeros(2, "M8[s]")), "is of type datetime64"),
    (npy_bytes(np.zeros(2, [("a", "f8")])), "save integers, floats up to 64 bits"),
    (npy_bytes(np.array([1], np.longdouble)), "save integers, floats up to 64 bits"),
    (npy_bytes(1.0), "is a single value"),
    (npy_bytes(np.zeros((0, 3))), "is empty"),
    (npy_bytes(np.zeros((2, 0))), "is empty"),
    (npy_bytes(np.zeros((1,) * 9)), "has 9 axes"),
    (npy_bytes(np.zeros((2, 2, 2))), "save arrays of other shapes"),
    (npy_bytes(["a", "b"]), "one table of numbers"),
    (npy_bytes([[1.0, 2.0], [3.0, np.inf]]), "column 1, row 1: inf is outside the range"),
    (npy_bytes([1e39]), "outside the range of float32"),
]


@pytest.mark.parametrize(("content", "message"), WRONG)
def test_invalid_file_is_refused(path: Path, content: bytes, message: str) -> None:
    with pytest.raises(InvalidFile, match=message):
        npy_schema(path, content)


def test_files_above_the_limits_are_refused(path: Path) -> None:
    with pytest.raises(InvalidFile, match="has 4 values, more than 3"):
        npy_schema(path, np.zeros((2, 2)), Limits(cells=3))
    with pytest.raises(InvalidFile, match="has 2 columns, more than 1"):
        npy_schema(path, np.zeros((2, 2)), Limits(columns=1))


def test_types_are_refused(path: Path) -> None:
    with pytest.raises(InvalidFile, match="leave types out"):
        Npy().infer_schema(path, {"0": "category"}, Limits())


def test_wrong_header_allocates_no_memory(path: Path) -> None:
    tracemalloc.start()
    with pytest.raises(InvalidFile):
        npy_schema(path, with_header(HEADER % "(99999999,)"))
    assert tracemalloc.get_traced_memory()[1] < 10**6
    tracemalloc.stop()


def test_load_of_a_changed_file_is_refused(path: Path) -> None:
    schema = npy_schema(path, np.zeros((2, 2)))
    path.write_bytes(npy_bytes(np.zeros((1, 2))))
    with pytest.raises(InvalidFile, match="another number of rows"):
        Npy().load(path, schema, schema.columns)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(st.data())
def test_any_bytes_are_an_array_or_invalid_file(path: Path, data: st.DataObject) -> None:
    good = npy_bytes(np.arange(6.0).reshape(2, 3))
    at = data.draw(st.integers(0, len(good)))
    content = good[:at] + data.draw(st.binary(max_size=20)) + good[data.draw(st.integers(at, len(good))) :]
    try:
        schema = npy_schema(path, content)
    except InvalidFile:
        return
    assert all(len(values) == schema.rows for values in Npy().load(path, schema, schema.columns).values())
