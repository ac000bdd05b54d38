"""Tests of core/data/readers/npz.py: schemas, damage, and archives that unpack to more than is allowed."""

import io
import struct
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.data.errors import InvalidFile
from core.data.readers.npz import Npz
from core.data.schema import Limits, Schema
from tests.core.data.readers.files import npy_bytes, npz_bytes, npz_schema


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "arrays.npz"


def archive(members: dict[str, bytes], packing: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", packing) as written:
        for name, content in members.items():
            written.writestr(name, content)
    return file.getvalue()


def test_infer_schema_describes_each_array(path: Path) -> None:
    images = np.arange(24, dtype="u1").reshape(2, 3, 4)
    schema = npz_schema(path, npz_bytes(y=np.array(["b", "a"]), ids=np.array([7, 7]), x=images))
    y, ids, x = schema.columns
    assert schema.rows == 2
    assert (x.shape, x.min, x.max, x.integers, x.classes) == ((3, 4), 0, 23, True, ())
    assert (y.type, y.classes) == ("category", (("a", 1), ("b", 1)))
    assert ids.classes == (("7", 2),)
    assert Schema.from_json(schema.to_json()) == schema


@pytest.mark.parametrize(
    ("array", "dtype"),
    [
        (np.array([[0.1, 0.2]]), "f8"),
        (np.array([[0.5, 2]], "f2"), "f4"),
        (np.array([[1, 2]], "u1"), "f4"),
        (np.array([[2**40, 1]], "i8"), "f8"),
        (np.asfortranarray(np.arange(6.0).reshape(2, 3)), "f8"),
    ],
)
def test_load_returns_a_type_that_has_every_number(path: Path, array: Any, dtype: str) -> None:
    schema = npz_schema(path, npz_bytes(x=array))
    loaded = Npz().load(path, schema, schema.columns)["x"]
    np.testing.assert_array_equal(loaded, array)
    assert loaded.dtype == dtype


@pytest.mark.parametrize("labels", [np.array(["ß", "a", "ß"]), np.array(["ß".encode(), b"a", "ß".encode()])])
def test_load_texts_returns_category_codes(path: Path, labels: Any) -> None:
    schema = npz_schema(path, npz_bytes(y=labels))
    assert Npz().load(path, schema, schema.columns)["y"].tolist() == [1, 0, 1]
    assert schema.columns[0].classes == (("a", 1), ("ß", 2))


def test_too_many_or_too_long_texts_are_a_text_column(path: Path) -> None:
    schema = npz_schema(path, npz_bytes(y=np.array([str(n) for n in range(9)])), Limits(categories=8))
    assert schema.columns[0].type == "text"
    assert npz_schema(path, npz_bytes(y=np.array(["long" * 50, "b"]))).columns[0].type == "text"


def test_rows_returns_a_page(path: Path) -> None:
    schema = npz_schema(path, npz_bytes(x=np.array([[1.0, np.nan], [3, 4], [5, 6]]), y=np.array(["a", "b"])))
    assert Npz().rows(path, schema, 0, 1) == [{"x": [1.0, None], "y": "a"}]
    assert Npz().rows(path, schema, 1, 5) == [{"x": [3.0, 4.0], "y": "b"}, {"x": [5.0, 6.0]}]
    assert Npz().rows(path, schema, 3, 5) == []


ARRAY = npy_bytes(np.zeros(2))

WRONG: list[tuple[bytes, str]] = [
    (b"", "no directory"),
    (npz_bytes(x=np.zeros(9))[:-30], "no directory"),
    (archive({}), "has no arrays"),
    (archive({"x.txt": b"a"}), "is not an array"),
    (archive({"../x.npy": ARRAY}), "is not an array"),
    (archive({"/etc/x.npy": ARRAY}), "is not an array"),
    (archive({"a\\x.npy": ARRAY}), "is not an array"),
    (archive({"a\nb.npy": ARRAY}), "is not an array"),
    (archive({"x" * 300 + ".npy": ARRAY}), "is not an array"),
    (archive({"x.npy": ARRAY}, zipfile.ZIP_BZIP2), "packed in an unknown way"),
    (archive({"x.npy": ARRAY}, zipfile.ZIP_LZMA), "packed in an unknown way"),
    (archive({"x.npy": b"no array"}), '"x" is not an array'),
    (archive({"x.npy": npy_bytes(np.array([None]))}), "objects are never read"),
    (npz_bytes(x=np.array([["a"]])), "give one text for each row"),
    (npz_bytes(x=np.array([b"\xff"])), "not valid Unicode"),
    (npz_bytes(x=np.array(["\ud800"])), "not valid Unicode"),
    (npz_bytes(x=np.array(["a\0b"])), "NUL"),
    (npz_bytes(x=np.array([[1.0], [-np.inf]])), '"x", row 1: -inf'),
]


@pytest.mark.parametrize(("content", "message"), WRONG)
def test_invalid_file_is_refused(path: Path, content: bytes, message: str) -> None:
    with pytest.raises(InvalidFile, match=message):
        npz_schema(path, content)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_arrays_of_one_name_are_refused(path: Path) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as written:
        written.writestr("x.npy", ARRAY)
        written.writestr("x.npy", ARRAY)
    with pytest.raises(InvalidFile, match=r'has "x.npy" 2 times'):
        npz_schema(path, file.getvalue())


def test_damaged_array_is_refused(path: Path) -> None:
    content = bytearray(archive({"x.npy": npy_bytes(np.arange(1000.0))}, zipfile.ZIP_STORED))
    content[6000] ^= 1
    with pytest.raises(InvalidFile, match="damaged"):
        npz_schema(path, bytes(content))


def declaring(content: bytes, size: int) -> bytes:
    """Return the archive with another size of its only member in local header and directory."""
    changed = bytearray(content)
    changed[22:26] = struct.pack("<I", size)
    at = changed.index(b"PK\x01\x02")
    changed[at + 24 : at + 28] = struct.pack("<I", size)
    return bytes(changed)


def refused_cheaply(path: Path, content: bytes, message: str, limits: Limits | None = None) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(InvalidFile, match=message):
            npz_schema(path, content, limits)
        assert tracemalloc.get_traced_memory()[1] < 10**7
    finally:
        tracemalloc.stop()


def test_archive_that_unpacks_to_too_much_is_not_unpacked(path: Path) -> None:
    content = archive({"x.npy": npy_bytes(np.zeros(3_000_000))})
    assert len(content) < 30_000
    refused_cheaply(path, content, "unpacks to 24000128 bytes", Limits(cells=1_000_000))


def test_unpacked_bytes_of_all_members_are_added_up(path: Path) -> None:
    arrays = {f"x{i}.npy": npy_bytes(np.zeros(100_000)) for i in range(20)}
    refused_cheaply(path, archive(arrays), "unpacks to", Limits(cells=1_000_000))


def test_member_that_declares_more_than_it_can_unpack_to_is_refused(path: Path) -> None:
    content = archive({"x.npy": npy_bytes(np.zeros(8))})
    refused_cheaply(path, declaring(content, 700_000_000), "more than its packed bytes can hold")


def test_member_that_declares_less_than_it_unpacks_to_is_refused(path: Path) -> None:
    content = declaring(archive({"x.npy": npy_bytes(np.zeros(1_000_000))}), 136)
    refused_cheaply(path, content, "damaged")


def test_wrong_header_of_a_member_is_refused(path: Path) -> None:
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (90000000,), }".ljust(117) + b"\n"
    array = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    refused_cheaply(path, archive({"x.npy": array}), "has 0 bytes of values, and its header says 720000000")


def test_directory_of_a_million_members_is_not_listed(path: Path) -> None:
    content = bytearray(archive({"x.npy": ARRAY}))
    at = content.rindex(b"PK\x05\x06")
    content[at + 12 : at + 16] = struct.pack("<I", 2**20 + 1)
    refused_cheaply(path, bytes(content), "directory of the archive is too long")


def test_zip64_directory_is_refused(path: Path) -> None:
    content = archive({"x.npy": ARRAY})
    at = content.rindex(b"PK\x05\x06")
    locator = b"PK\x06\x07" + bytes(16)
    refused_cheaply(path, content[:at] + locator + content[at:], "directory of the archive is too long")


def test_archives_above_the_limits_are_refused(path: Path) -> None:
    with pytest.raises(InvalidFile, match=r"has 2 arrays, more than 1"):
        npz_schema(path, npz_bytes(x=np.zeros(2), y=np.zeros(2)), Limits(columns=1))
    with pytest.raises(InvalidFile, match="more than 5 values together"):
        npz_schema(path, npz_bytes(x=np.zeros(3), y=np.zeros(3)), Limits(cells=5))


def test_types_are_refused(path: Path) -> None:
    with pytest.raises(InvalidFile, match="leave types out"):
        Npz().infer_schema(path, {"x": "category"}, Limits())


def test_load_of_a_changed_file_is_refused(path: Path) -> None:
    schema = npz_schema(path, npz_bytes(x=np.zeros((2, 3)), y=np.array(["a", "b"])))
    for changed in [npz_bytes(x=np.zeros((2, 2))), npz_bytes(z=np.zeros(2)), npz_bytes(y=np.array(["a", "c"]))]:
        path.write_bytes(changed)
        with pytest.raises(InvalidFile):
            Npz().load(path, schema, schema.columns[::-1])


GOOD = npz_bytes(x=np.arange(6.0).reshape(2, 3), y=np.array(["a", "b"]))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(st.data())
def test_any_bytes_are_an_archive_or_invalid_file(path: Path, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(GOOD)))
    until = data.draw(st.integers(at, min(len(GOOD), at + 8)))
    content = GOOD[:at] + data.draw(st.binary(max_size=8)) + GOOD[until:]
    try:
        schema = npz_schema(path, content)
    except InvalidFile:
        return
    assert len(Npz().rows(path, schema, 0, 10)) == max(column.rows for column in schema.columns)
