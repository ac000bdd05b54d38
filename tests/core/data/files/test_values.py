"""Tests of core/data/files/values.py."""

import zipfile
from base64 import b64encode
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.data.errors import InvalidFile
from core.data.files.values import PlainMember, ZipMember, content_of_json
from core.data.readers.archives.zip_members import zip_members
from core.data.schema import Limits
from tests.core.data.files.media import zipped

CODED = b64encode(b"abc").decode()


@pytest.mark.parametrize(
    ("value", "content"),
    [
        (CODED, b"abc"),
        ({"b64": CODED}, b"abc"),
        (f"data:image/png;base64,{CODED}", b"abc"),
        (b"abc", b"abc"),
        ("abc", None),
        ("é", None),
        ({"b64": 3}, None),
        ({"b64": CODED, "more": 1}, None),
        (3, None),
        (None, None),
        ([CODED], None),
    ],
)
def test_content_of_json(value: Any, content: bytes | None) -> None:
    assert content_of_json(value) == content


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_zip_member_is_read_and_checked(tmp_path: Path, compression: int) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(zipped({"é/a.txt": b"x" * 1000, "b.txt": b""}, compression))
    first, second = zip_members(path, Limits())
    assert (first.name, first.read(), second.read()) == ("é/a.txt", b"x" * 1000, b"")
    assert isinstance(first, ZipMember)
    for wrong in (replace(first, checksum=1), replace(first, size=999), replace(first, packed_size=3)):
        with pytest.raises(InvalidFile, match="damaged"):
            wrong.read()


def test_member_beyond_the_end_is_cut_off(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(b"abcdef")
    assert PlainMember(tmp_path / "a.tar", "a.txt", 2, 3).read() == b"cde"
    with pytest.raises(InvalidFile, match=r"a\.txt is cut off"):
        PlainMember(tmp_path / "a.tar", "a.txt", 2, 9).read()
