"""A blob is whole or not there; its name is its hash; nothing else becomes a path."""

import hashlib
import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.blobs import Blobs, DamagedBlob, NoSuchBlob

DATA = b"weights"
SHA = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs(tmp_path / "blobs")


def test_what_is_put_is_read(blobs: Blobs) -> None:
    assert blobs.put(DATA) == SHA
    assert blobs.read(SHA) == DATA
    assert blobs.path(SHA).read_bytes() == DATA


def test_the_same_bytes_are_one_file(blobs: Blobs) -> None:
    assert blobs.put(DATA) == blobs.put(DATA)
    assert names(blobs) == [SHA]


def test_a_writer_hashes_on_the_way(blobs: Blobs) -> None:
    with blobs.writer() as writer:
        writer.write(DATA[:3])
        writer.write(DATA[3:])
        assert writer.bytes == len(DATA)
        assert writer.commit() == SHA
    assert blobs.read(SHA) == DATA


def test_a_writer_shows_what_it_has_so_far(blobs: Blobs) -> None:
    with blobs.writer() as writer:
        writer.write(DATA)
        writer.flush()
        assert writer.path.read_bytes() == DATA


def test_without_a_commit_nothing_stays(blobs: Blobs) -> None:
    with blobs.writer() as writer:
        writer.write(DATA)
    assert names(blobs) == []


def test_an_error_while_writing_leaves_nothing(blobs: Blobs) -> None:
    def fail() -> None:
        with blobs.writer() as writer:
            writer.write(DATA)
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail()
    assert names(blobs) == []


def test_bytes_are_on_the_disk_before_they_have_their_name(blobs: Blobs, monkeypatch: pytest.MonkeyPatch) -> None:
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
def test_other_bytes_than_were_put_are_refused(blobs: Blobs, damage: bytes) -> None:
    blobs.put(DATA)
    blobs.path(SHA).write_bytes(damage)
    with pytest.raises(DamagedBlob, match=SHA):
        blobs.read(SHA)


def test_damage_is_mended_by_the_same_bytes(blobs: Blobs) -> None:
    blobs.put(DATA)
    blobs.path(SHA).write_bytes(b"")
    blobs.put(DATA)
    assert blobs.read(SHA) == DATA


def test_what_is_missing_is_said(blobs: Blobs) -> None:
    with pytest.raises(NoSuchBlob, match=SHA):
        blobs.read(SHA)
    assert not blobs.delete(SHA)


@given(st.text())
def test_nothing_but_a_hash_becomes_a_path(name: str) -> None:
    with pytest.raises(ValueError, match="no sha256"):
        Blobs(Path("blobs")).path(name)


@pytest.mark.parametrize("name", [f"../{SHA}", SHA.upper(), SHA + "\n", SHA[:-1], f"{SHA}.part"])
def test_nearly_a_hash_is_none(blobs: Blobs, name: str) -> None:
    with pytest.raises(ValueError, match="no sha256"):
        blobs.path(name)


def test_delete_removes_what_is_old_and_keeps_what_was_just_put(blobs: Blobs) -> None:
    blobs.put(DATA)
    assert not blobs.delete(SHA)
    assert blobs.read(SHA) == DATA
    age(blobs.path(SHA), 61)
    assert blobs.delete(SHA)
    assert names(blobs) == []


def test_putting_again_makes_an_old_file_young(blobs: Blobs) -> None:
    blobs.put(DATA)
    age(blobs.path(SHA), 3_600)
    blobs.put(DATA)
    assert not blobs.delete(SHA)


def test_a_sweep_removes_what_no_row_names_and_what_a_crash_left(blobs: Blobs) -> None:
    kept, orphan, young = blobs.put(b"kept"), blobs.put(b"orphan"), blobs.put(b"young")
    part = blobs.root / "0123.part"
    part.write_bytes(b"half")
    other = blobs.root / "README"
    other.touch()
    for path in (blobs.path(kept), blobs.path(orphan), part, other):
        age(path, 90_000)
    assert blobs.sweep(86_400, keep={kept}) == sorted([orphan, part.name])
    assert names(blobs) == sorted([kept, young, "README"])


def test_a_sweep_of_no_folder_is_nothing(blobs: Blobs) -> None:
    assert blobs.sweep(0, keep=()) == []


def names(blobs: Blobs) -> list[str]:
    return sorted(path.name for path in blobs.root.iterdir() if path.name != ".lock")


def age(path: Path, seconds: float) -> None:
    os.utime(path, (time.time() - seconds,) * 2)
