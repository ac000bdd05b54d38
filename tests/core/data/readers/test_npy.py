"""Files of one array: what they hold, and what is refused before anything is allocated."""

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
def test_a_table_of_any_numbers_is_read(path: Path, dtype: str, order: Any) -> None:
    array = np.array([[0, 1, 1], [1, 0, 1]]).astype(dtype, order=order)
    schema = npy_schema(path, array)
    assert (schema.rows, [column.name for column in schema.columns]) == (2, ["0", "1", "2"])
    assert schema.columns[1].classes == (("0", 1), ("1", 1))
    loaded = Npy().load(path, schema, schema.columns[:2])
    assert {name: values.tolist() for name, values in loaded.items()} == {"0": [0, 1], "1": [1, 0]}
    assert Npy().rows(path, schema, 1, 5) == [{"0": 1, "1": 0, "2": 1}]


def test_a_flat_array_is_one_column(path: Path) -> None:
    schema = npy_schema(path, np.array([1.5, 2.5]))
    assert (schema.rows, schema.columns[0].mean, schema.columns[0].classes) == (2, 2.0, ())


def test_nan_is_a_missing_value(path: Path) -> None:
    schema = npy_schema(path, np.array([[1.0, np.nan], [3.0, 4.0]]))
    assert [column.missing for column in schema.columns] == [0, 1]
    assert Npy().rows(path, schema, 0, 1) == [{"0": 1.0, "1": None}]


def test_blocks_are_seamless(path: Path) -> None:
    array = np.arange(1_500_000.0).reshape(-1, 3)
    schema = npy_schema(path, array)
    assert schema.columns[2].mean == pytest.approx(array[:, 2].mean())
    np.testing.assert_array_equal(Npy().load(path, schema, schema.columns[2:])["2"], array[:, 2])
    assert Npy().rows(path, schema, 400_000, 1) == [dict(zip("012", array[400_000].tolist(), strict=True))]


def header_that_says(text: str, data: bytes = b"") -> bytes:
    header = text.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + data


LAID = "{'descr': '<f8', 'fortran_order': False, 'shape': %s}"

WRONG: list[tuple[Any, str]] = [
    (b"", "is no array"),
    (b"\x93NUMPY\x01", "is no array"),
    (npy_bytes([1.0])[:-4], "says it has 8 bytes of numbers, and has 4"),
    (npy_bytes([1.0]) + b"more", "says it has 8 bytes of numbers, and has 12"),
    (header_that_says(LAID % "(10000000,)"), "says it has 80000000 bytes"),
    (header_that_says(LAID % "(100000000000, 1000000000000)"), "at most 100000000 are taken"),
    (header_that_says(LAID % "(-1,)"), "is empty"),
    (header_that_says(LAID % "('a',)"), "is no array"),
    (header_that_says("__import__('os').getcwd()"), "is no array"),
    (header_that_says("{'descr': '<U0', 'fortran_order': False, 'shape': (1,)}"), "holds <U0"),
    (npy_bytes(np.array([object()], dtype=object)), "holds object"),
    (npy_bytes(np.zeros(2, "c16")), "holds complex128"),
    (npy_bytes(np.zeros(2, "M8[s]")), "holds datetime64"),
    (npy_bytes(np.zeros(2, [("a", "f8")])), "only whole numbers, floats"),
    (npy_bytes(np.array([1], np.longdouble)), "only whole numbers, floats"),
    (npy_bytes(1.0), "is a single value"),
    (npy_bytes(np.zeros((0, 3))), "is empty"),
    (npy_bytes(np.zeros((2, 0))), "is empty"),
    (npy_bytes(np.zeros((1,) * 9)), "has 9 axes"),
    (npy_bytes(np.zeros((2, 2, 2))), "put arrays of other shapes"),
    (npy_bytes(["a", "b"]), "one table of numbers"),
    (npy_bytes([[1.0, 2.0], [3.0, np.inf]]), "column 1, row 1: inf is beyond"),
    (npy_bytes([1e39]), "beyond what a float32 holds"),
]


@pytest.mark.parametrize(("content", "message"), WRONG)
def test_what_is_wrong_is_refused(path: Path, content: bytes, message: str) -> None:
    with pytest.raises(InvalidFile, match=message):
        npy_schema(path, content)


def test_limits_are_kept(path: Path) -> None:
    with pytest.raises(InvalidFile, match="has 4 values: at most 3"):
        npy_schema(path, np.zeros((2, 2)), Limits(cells=3))
    with pytest.raises(InvalidFile, match="has 2 columns: at most 1"):
        npy_schema(path, np.zeros((2, 2)), Limits(columns=1))


def test_types_are_those_of_the_file(path: Path) -> None:
    with pytest.raises(InvalidFile, match="types can be given for CSV alone"):
        Npy().inspect(path, {"0": "category"}, Limits())


def test_a_header_that_lies_allocates_nothing(path: Path) -> None:
    tracemalloc.start()
    with pytest.raises(InvalidFile):
        npy_schema(path, header_that_says(LAID % "(99999999,)"))
    assert tracemalloc.get_traced_memory()[1] < 10**6
    tracemalloc.stop()


def test_a_file_that_is_not_what_its_schema_says_is_refused(path: Path) -> None:
    schema = npy_schema(path, np.zeros((2, 2)))
    path.write_bytes(npy_bytes(np.zeros((1, 2))))
    with pytest.raises(InvalidFile, match="other rows"):
        Npy().load(path, schema, schema.columns)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(st.data())
def test_any_bytes_are_an_array_or_an_invalid_file(path: Path, data: st.DataObject) -> None:
    good = npy_bytes(np.arange(6.0).reshape(2, 3))
    at = data.draw(st.integers(0, len(good)))
    content = good[:at] + data.draw(st.binary(max_size=20)) + good[data.draw(st.integers(at, len(good))) :]
    try:
        schema = npy_schema(path, content)
    except InvalidFile:
        return
    assert all(len(values) == schema.rows for values in Npy().load(path, schema, schema.columns).values())
