"""A blob is whole or not there; its name is its hash; nothing else becomes a path."""

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


def test_what_is_put_is_read(blobs: FolderBlobs) -> None:
    assert blobs.put(DATA) == SHA
    assert blobs.read(SHA) == DATA
    assert blobs.path(SHA).read_bytes() == DATA


def test_the_same_bytes_are_one_file(blobs: FolderBlobs) -> None:
    assert blobs.put(DATA) == blobs.put(DATA)
    assert names(blobs) == [SHA]


def test_a_writer_hashes_on_the_way(blobs: FolderBlobs) -> None:
    with blobs.writer() as writer:
        writer.write(DATA[:3])
        writer.write(DATA[3:])
        assert writer.bytes == len(DATA)
        assert writer.commit() == SHA
    assert blobs.read(SHA) == DATA


def test_a_writer_shows_what_it_has_so_far(blobs: FolderBlobs) -> None:
    with blobs.writer() as writer:
        writer.write(DATA)
        writer.flush()
        assert writer.path.read_bytes() == DATA


def test_without_a_commit_nothing_stays(blobs: FolderBlobs) -> None:
    with blobs.writer() as writer:
        writer.write(DATA)
    assert names(blobs) == []


def test_an_error_while_writing_leaves_nothing(blobs: FolderBlobs) -> None:
    def fail() -> None:
        with blobs.writer() as writer:
            writer.write(DATA)
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail()
    assert names(blobs) == []


def test_bytes_are_on_the_disk_before_they_have_their_name(blobs: FolderBlobs, monkeypatch: pytest.MonkeyPatch) -> None:
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
def test_other_bytes_than_were_put_are_refused(blobs: FolderBlobs, damage: bytes) -> None:
    blobs.put(DATA)
    blobs.path(SHA).write_bytes(damage)
    with pytest.raises(DamagedBlob, match=SHA):
        blobs.read(SHA)


def test_damage_is_mended_by_the_same_bytes(blobs: FolderBlobs) -> None:
    blobs.put(DATA)
    blobs.path(SHA).write_bytes(b"")
    blobs.put(DATA)
    assert blobs.read(SHA) == DATA


def test_what_is_missing_is_said(blobs: FolderBlobs) -> None:
    with pytest.raises(NoSuchBlob, match=SHA):
        blobs.read(SHA)


@given(st.text())
def test_nothing_but_a_hash_becomes_a_path(name: str) -> None:
    with pytest.raises(ValueError, match="not a sha256"):
        FolderBlobs(Path("blobs")).path(name)


@pytest.mark.parametrize("name", [f"../{SHA}", SHA.upper(), SHA + "\n", SHA[:-1], f"{SHA}.part"])
def test_nearly_a_hash_is_none(blobs: FolderBlobs, name: str) -> None:
    with pytest.raises(ValueError, match="not a sha256"):
        blobs.path(name)


def test_only_what_is_old_can_be_deleted(blobs: FolderBlobs) -> None:
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


def test_what_is_kept_is_there_even_if_it_was_deleted_meanwhile(blobs: FolderBlobs) -> None:
    blobs.put(DATA)
    blobs.path(SHA).unlink()
    blobs.ensure(SHA, DATA)
    assert blobs.read(SHA) == DATA


def test_a_long_upload_is_young_when_it_has_its_name(blobs: FolderBlobs) -> None:
    with blobs.writer() as writer:
        writer.write(DATA)
        writer.flush()
        age(writer.path, 3_600)
        writer.commit()
    assert blobs.old() == {}


def test_what_a_crash_left_half_written_is_cleared(blobs: FolderBlobs) -> None:
    whole = blobs.put(b"whole")
    parts = [blobs.root / f"{number}.part" for number in range(2)]
    for path in (*parts, other := blobs.root / "README"):
        path.write_bytes(b"half")
    for path in (blobs.path(whole), parts[0], other):
        age(path, 90_000)
    assert blobs.delete_abandoned() == [parts[0].name]
    assert list(blobs.old()) == [whole]
    assert names(blobs) == sorted([whole, parts[1].name, "README"])


def test_no_folder_holds_nothing_old(blobs: FolderBlobs) -> None:
    assert (blobs.old(), blobs.delete_abandoned()) == ({}, [])


def names(blobs: FolderBlobs) -> list[str]:
    return sorted(path.name for path in blobs.root.iterdir() if path.name != ".lock")


def age(path: Path, seconds: float) -> None:
    os.utime(path, (time.time() - seconds,) * 2)
