"""Instances for predictions are read from CSV and .npy bodies."""

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.data.errors import InvalidFile
from core.data.features.arrays import ArrayFeatures
from core.data.instances import instance_from_text, instances_from_csv, instances_from_npy
from core.data.schema import Limits
from tests.core.data.readers.files import npy_bytes

COLUMNS = ("age", "city")


@pytest.mark.parametrize(
    "body",
    [
        b"age,city\n20,Oslo\n,Bergen\n",
        b"age;city\r\n20;Oslo\r\n;Bergen\r\n",
        b"\xef\xbb\xbf age,city \n\n20,Oslo\n,Bergen",
        b'"age"\t"city"\n20\tOslo\n\tBergen\n',
    ],
)
def test_csv_with_a_header_gives_objects(body: bytes) -> None:
    assert instances_from_csv(body, COLUMNS) == [{"age": "20", "city": "Oslo"}, {"age": "", "city": "Bergen"}]


def test_header_may_have_columns_that_the_model_does_not_know() -> None:
    assert instances_from_csv(b"pay,city,age\n9,Oslo,20\n", COLUMNS) == [{"pay": "9", "city": "Oslo", "age": "20"}]


def test_header_that_lacks_a_column_is_a_header() -> None:
    assert instances_from_csv(b"city\nOslo\n", COLUMNS) == [{"city": "Oslo"}]


@pytest.mark.parametrize("first", ["01", "1", "2020", "town", "true", ""])
def test_first_row_that_names_no_column_is_a_row_of_texts(first: str) -> None:
    assert instances_from_csv(f"{first},02\n1,2\n".encode(), COLUMNS) == [[first, "02"], ["1", "2"]]


def test_csv_of_a_model_without_columns_gives_numbers() -> None:
    assert instances_from_csv(b"6\n7\n") == [[6.0], [7.0]]
    assert instances_from_csv(b"1.5;-2e3\n") == [[1.5, -2000.0]]
    assert instances_from_csv(b"six\n7\n") == [["six"], [7.0]]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"1,2\n3\n", "line 2 has 1 cells and the first has 2"),
        (b'1,"2\n', "line 1: unexpected end of data"),
        (b"\xff,2\n", "byte 1 is not UTF-8"),
        (b"a\0,2\n", "NUL byte"),
        (b"age,city,age\n1,2,3\n", "names a column twice"),
    ],
)
def test_csv_that_cannot_be_read_is_refused_with_its_place(body: bytes, message: str) -> None:
    with pytest.raises(InvalidFile, match=message):
        instances_from_csv(body, COLUMNS)


def test_npy_gives_the_array() -> None:
    array = np.arange(6, dtype="i8").reshape(3, 2)
    found = instances_from_npy(npy_bytes(array))
    np.testing.assert_array_equal(ArrayFeatures(shape=(2,)).encode(found).x, array)


@pytest.mark.parametrize("body", [b"", npy_bytes(["a"]), npy_bytes(3.0), npy_bytes(np.array([None]))])
def test_npy_other_than_numbers_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidFile):
        instances_from_npy(body)


def test_text_gives_one_record() -> None:
    assert instance_from_text("été, 6\n".encode()) == [["été, 6\n"]]
    with pytest.raises(InvalidFile, match="not in UTF-8"):
        instance_from_text("été".encode("latin-1"))


def test_bodies_above_the_limits_are_refused() -> None:
    with pytest.raises(InvalidFile, match="more than 3 cells"):
        instances_from_csv(b"1,2\n3,4\n", (), Limits(cells=3))
    with pytest.raises(InvalidFile, match="more than 3"):
        instances_from_npy(npy_bytes(np.zeros(4)), Limits(cells=3))


@given(st.binary(max_size=100))
def test_any_body_is_instances_or_invalid_file(body: bytes) -> None:
    for parse in (instances_from_csv, instances_from_npy, instance_from_text):
        count = 0
        with suppress(InvalidFile):
            count = len(parse(body))
        assert count <= max(1, len(body))  # an instance takes at least a byte, a text may be empty
