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


def test_csv_with_header_gives_objects() -> None:
    assert instances_from_csv(b"age,city\n20,Oslo\n,Bergen\n") == [
        {"age": "20", "city": "Oslo"},
        {"age": "", "city": "Bergen"},
    ]


def test_csv_without_header_gives_lists() -> None:
    assert instances_from_csv(b"6\n7\n") == [[6.0], [7.0]]
    assert instances_from_csv(b"1.5;Oslo\n") == [[1.5, "Oslo"]]


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
        instances_from_csv(b"1,2\n3,4\n", Limits(cells=3))
    with pytest.raises(InvalidFile, match="more than 3"):
        instances_from_npy(npy_bytes(np.zeros(4)), Limits(cells=3))


@given(st.binary(max_size=100))
def test_any_body_is_instances_or_invalid_file(body: bytes) -> None:
    for parse in (instances_from_csv, instances_from_npy, instance_from_text):
        count = 0
        with suppress(InvalidFile):
            count = len(parse(body))
        assert count <= max(1, len(body))  # an instance takes at least a byte, a text may be empty
