"""Uploads in parts: offsets, locks between processes, limits, expiry, and what a crash leaves."""

import os
from pathlib import Path

import pytest

from core.blobs.errors import NoSuchUpload, PartialUploadsFull, UploadBusy, UploadTooLong, WrongOffset
from core.blobs.partial import PartialLimits, PartialUploads


def opened(folder: Path, count: int = 3, size: int = 100, seconds: float = 60.0) -> PartialUploads:
    return PartialUploads(folder / "uploads", PartialLimits(count, size, seconds))


def append(uploads: PartialUploads, upload_id: str, offset: int, data: bytes) -> None:
    writer = uploads.open_part(upload_id, None, offset)
    try:
        writer.write(data)
    finally:
        writer.close()


def age(uploads: PartialUploads, seconds: float) -> None:
    for path in uploads.root.iterdir():
        os.utime(path, (path.stat().st_atime, path.stat().st_mtime - seconds))


def test_parts_are_appended_by_any_process(tmp_path: Path) -> None:
    created = opened(tmp_path).create("", 6, {"filename": "a.csv"})
    append(opened(tmp_path), created.id, 0, b"abc")
    assert opened(tmp_path).get(created.id, None).offset == 3
    append(opened(tmp_path), created.id, 3, b"def")
    found = opened(tmp_path).get(created.id, "")
    assert (found.complete, found.metadata) == (True, {"filename": "a.csv"})
    assert opened(tmp_path).path(created.id).read_bytes() == b"abcdef"


def test_bytes_of_a_writer_that_was_killed_stay_and_its_lock_goes(tmp_path: Path) -> None:
    uploads = opened(tmp_path)
    created = uploads.create("", 6, {})
    if (child := os.fork()) == 0:
        uploads.open_part(created.id, None, 0).write(b"abcd")
        os._exit(9)
    os.waitpid(child, 0)
    append(uploads, created.id, 4, b"ef")
    assert uploads.path(created.id).read_bytes() == b"abcdef"


def test_a_second_writer_and_another_offset_are_refused(tmp_path: Path) -> None:
    uploads = opened(tmp_path)
    created = uploads.create("", 6, {})
    writer = uploads.open_part(created.id, None, 0)
    for refused in (lambda: uploads.open_part(created.id, None, 0), lambda: uploads.delete(created.id, None)):
        with pytest.raises(UploadBusy):
            refused()
    writer.write(b"ab")
    writer.close()
    for offset in (0, 1, 3):
        with pytest.raises(WrongOffset):
            uploads.open_part(created.id, None, offset)
    append(uploads, created.id, 2, b"cdef")


def test_a_part_that_is_too_long_leaves_nothing(tmp_path: Path) -> None:
    uploads = opened(tmp_path)
    created = uploads.create("", 6, {})
    append(uploads, created.id, 0, b"ab")
    writer = uploads.open_part(created.id, None, 2)
    writer.write(b"cd")
    with pytest.raises(UploadTooLong):
        writer.write(b"efg")
    writer.close()
    assert uploads.path(created.id).read_bytes() == b"ab"


def test_number_and_declared_bytes_are_limited_until_uploads_end(tmp_path: Path) -> None:
    uploads = opened(tmp_path, count=2, size=10)
    first = uploads.create("", 6, {})
    with pytest.raises(PartialUploadsFull, match="6 of 10 bytes"):
        uploads.create("", 5, {})
    uploads.create("", 4, {})
    with pytest.raises(PartialUploadsFull, match="2 of 2 places"):
        uploads.create("", 0, {})
    append(uploads, first.id, 0, b"abcdef")
    uploads.finish(first.id, None, "0" * 64)
    assert uploads.get(first.id, None).complete
    assert uploads.path(first.id).stat().st_size == 0
    with pytest.raises(UploadTooLong):
        append(uploads, first.id, 6, b"g")
    assert uploads.path(first.id).stat().st_size == 0
    third = uploads.create("", 6, {})
    uploads.delete(third.id, None)
    assert uploads.newest(None) != third.id


def test_abandoned_uploads_and_the_rest_of_a_crash_are_removed(tmp_path: Path) -> None:
    uploads = opened(tmp_path, seconds=60)
    old, busy = uploads.create("", 6, {}), uploads.create("", 6, {})
    (uploads.root / "upl_0.part").touch()  # a crash between the two files
    writer = uploads.open_part(busy.id, None, 0)
    age(uploads, 61)
    with pytest.raises(NoSuchUpload):
        uploads.get(old.id, None)
    new = uploads.create("", 1, {})
    assert {path.name for path in uploads.root.glob("upl_*.part")} == {f"{busy.id}.part", f"{new.id}.part"}
    writer.close()
    uploads.remove_expired()
    assert sorted(path.stem for path in uploads.root.glob("upl_*")) == [new.id, new.id]


def test_an_upload_belongs_to_its_owner(tmp_path: Path) -> None:
    uploads = opened(tmp_path)
    created = uploads.create("ada", 6, {})
    assert uploads.get(created.id, "ada") == uploads.get(created.id, None)
    assert (uploads.newest("ada"), uploads.newest("bob")) == (created.id, None)
    for refused in (uploads.get, uploads.delete):
        with pytest.raises(NoSuchUpload):
            refused(created.id, "bob")


@pytest.mark.parametrize("upload_id", ["", "..", "../x", "upl_", "upl_../../../../etc/passwd0000"])
def test_other_names_are_no_path(tmp_path: Path, upload_id: str) -> None:
    with pytest.raises(NoSuchUpload):
        opened(tmp_path).get(upload_id, None)
