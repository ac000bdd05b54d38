"""Blobs in a folder."""

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.blobs.errors import DamagedBlob, NoSuchBlob
from core.blobs.folder import FolderBlobs

DATA = b"weights"
SHA = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def blobs(tmp_path: Path) -> FolderBlobs:
    return FolderBlobs(tmp_path / "blobs")


def test_put_then_read_returns_the_bytes(blobs: FolderBlobs) -> None:
    assert blobs.put(DATA) == SHA
    assert blobs.read(SHA) == DATA
    assert blobs.path(SHA).read_bytes() == DATA


def test_put_of_the_same_bytes_makes_one_file(blobs: FolderBlobs) -> None:
    assert blobs.put(DATA) == blobs.put(DATA)
    assert names(blobs) == [SHA]


def test_writer_commits_pieces_under_their_hash(blobs: FolderBlobs) -> None:
    with blobs.writer() as writer:
        writer.write(DATA[:3])
        writer.write(DATA[3:])
        assert writer.bytes == len(DATA)
        assert writer.commit() == SHA
    assert blobs.read(SHA) == DATA


def test_writer_path_shows_the_flushed_bytes(blobs: FolderBlobs) -> None:
    with blobs.writer() as writer:
        writer.write(DATA)
        writer.flush()
        assert writer.path.read_bytes() == DATA


def test_writer_without_a_commit_leaves_no_file(blobs: FolderBlobs) -> None:
    with blobs.writer() as writer:
        writer.write(DATA)
    assert names(blobs) == []


def test_writer_after_an_error_leaves_no_file(blobs: FolderBlobs) -> None:
    def fail() -> None:
        with blobs.writer() as writer:
            writer.write(DATA)
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail()
    assert names(blobs) == []


def test_bytes_are_synced_before_the_file_is_renamed(blobs: FolderBlobs, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[bool, list[str]]] = []
    real = os.fsync

    def spy(descriptor: int) -> None:
        seen.append((os.path.isdir(f"/proc/self/fd/{descriptor}"), names(blobs)))  # noqa: PTH112 - a descriptor's link
        real(descriptor)

    monkeypatch.setattr(os, "fsync", spy)
    blobs.put(DATA)
    assert [is_folder for is_folder, _ in seen] == [False, True]
    assert SHA not in seen[0][1]
    assert SHA in seen[1][1]


@pytest.mark.parametrize("damage", [b"", DATA[:-1], b"Weights", DATA + b"\0"])
def test_read_of_a_damaged_blob_raises(blobs: FolderBlobs, damage: bytes) -> None:
    blobs.put(DATA)
    blobs.path(SHA).write_bytes(damage)
    with pytest.raises(DamagedBlob, match=SHA):
        blobs.read(SHA)


def test_put_of_the_same_bytes_repairs_a_damaged_blob(blobs: FolderBlobs) -> None:
    blobs.put(DATA)
    blobs.path(SHA).write_bytes(b"")
    blobs.put(DATA)
    assert blobs.read(SHA) == DATA


def test_read_of_an_unknown_blob_raises(blobs: FolderBlobs) -> None:
    with pytest.raises(NoSuchBlob, match=SHA):
        blobs.read(SHA)


@given(st.text())
def test_path_of_any_text_raises(name: str) -> None:
    with pytest.raises(ValueError, match="not a sha256"):
        FolderBlobs(Path("blobs")).path(name)


@pytest.mark.parametrize("name", [f"../{SHA}", SHA.upper(), SHA + "\n", SHA[:-1], f"{SHA}.part"])
def test_path_of_an_almost_valid_hash_raises(blobs: FolderBlobs, name: str) -> None:
    with pytest.raises(ValueError, match="not a sha256"):
        blobs.path(name)


def test_old_blob_can_be_deleted_once(blobs: FolderBlobs) -> None:
    blobs.put(DATA)
    assert blobs.old() == {}
    age(blobs.path(SHA), 61)
    assert blobs.delete(SHA, blobs.old()[SHA])
    assert names(blobs) == []
    assert not blobs.delete(SHA, 0)


@pytest.mark.parametrize("again", [lambda blobs: blobs.put(DATA), lambda blobs: blobs.ensure(SHA, DATA)])
def test_what_is_put_or_kept_meanwhile_is_not_deleted(
    blobs: FolderBlobs, again: Callable[[FolderBlobs], object]
) -> None:
    blobs.put(DATA)
    age(blobs.path(SHA), 3_600)
    stamp = blobs.old()[SHA]
    again(blobs)
    assert blobs.old() == {}
    age(blobs.path(SHA), 1_800)
    assert not blobs.delete(SHA, stamp)
    assert blobs.read(SHA) == DATA


def test_ensure_puts_a_blob_that_was_deleted_meanwhile(blobs: FolderBlobs) -> None:
    blobs.put(DATA)
    blobs.path(SHA).unlink()
    blobs.ensure(SHA, DATA)
    assert blobs.read(SHA) == DATA


def test_slowly_written_blob_is_recent_after_its_commit(blobs: FolderBlobs) -> None:
    with blobs.writer() as writer:
        writer.write(DATA)
        writer.flush()
        age(writer.path, 3_600)
        writer.commit()
    assert blobs.old() == {}


def test_delete_abandoned_deletes_old_temporary_files_only(blobs: FolderBlobs) -> None:
    complete = blobs.put(b"complete")
    parts = [blobs.root / f"{number}.part" for number in range(2)]
    for path in (*parts, other := blobs.root / "README"):
        path.write_bytes(b"half")
    for path in (blobs.path(complete), parts[0], other):
        age(path, 90_000)
    assert blobs.delete_abandoned() == [parts[0].name]
    assert list(blobs.old()) == [complete]
    assert names(blobs) == sorted([complete, parts[1].name, "README"])


def test_missing_folder_has_no_old_or_abandoned_files(blobs: FolderBlobs) -> None:
    assert (blobs.old(), blobs.delete_abandoned()) == ({}, [])


def names(blobs: FolderBlobs) -> list[str]:
    return sorted(path.name for path in blobs.root.iterdir() if path.name != ".lock")


def age(path: Path, seconds: float) -> None:
    os.utime(path, (time.time() - seconds,) * 2)
