"""Blobs in a bucket, shared by machines with a local cache each."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.blobs import bucket
from core.blobs.blobs import Blobs
from core.blobs.bucket import BucketBlobs
from core.blobs.errors import BlobStoreUnavailable, DamagedBlob, NoSuchBlob
from core.blobs.folder import FolderBlobs
from core.blobs.storage import open_blobs
from core.settings import Settings
from harness.buckets import URL, Server, bucket_server

DATA = b"weights"
SHA = hashlib.sha256(DATA).hexdigest()
LARGE = os.urandom(12 * 2**20)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with bucket_server() as started:
        yield started


@pytest.fixture(params=["s3", "file"])
def url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "file":
        return f"file://{tmp_path}/bucket"
    server: Server = request.getfixturevalue("server")
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    return f"{URL}/{tmp_path.name}"


def machine(url: str, folder: Path) -> Blobs:
    """Return the blobs as seen by a machine with this folder."""
    return open_blobs(Settings(blobs_url=url, data_dir=folder))


def test_blob_put_by_one_machine_is_read_by_another(url: str, tmp_path: Path) -> None:
    here, there = machine(url, tmp_path / "here"), machine(url, tmp_path / "there")
    assert here.put(DATA) == SHA
    assert here.put(LARGE) == hashlib.sha256(LARGE).hexdigest()
    assert here.names() == there.names() == {SHA, hashlib.sha256(LARGE).hexdigest()}
    assert there.read(SHA) == DATA
    assert there.fetch(SHA).read_bytes() == DATA
    assert there.read(hashlib.sha256(LARGE).hexdigest()) == LARGE
    assert there.verify(SHA) == len(DATA)


def test_writer_without_a_commit_puts_nothing(url: str, tmp_path: Path) -> None:
    blobs = machine(url, tmp_path / "here")
    with blobs.writer() as writer:
        writer.write(DATA)
    assert blobs.names() == set()
    with pytest.raises(NoSuchBlob):
        blobs.read(SHA)
    with pytest.raises(NoSuchBlob):
        blobs.verify(SHA)


def test_damaged_local_copy_is_downloaded_again(url: str, tmp_path: Path) -> None:
    blobs = machine(url, tmp_path / "here")
    blobs.put(DATA)
    for read in (blobs.read, blobs.fetch_verified):
        blobs.path(SHA).write_bytes(b"heights")
        read(SHA)
        assert blobs.path(SHA).read_bytes() == DATA


def test_damaged_object_raises(tmp_path: Path) -> None:
    url = f"file://{tmp_path}/bucket"
    machine(url, tmp_path / "here").put(DATA)
    for path in (tmp_path / "bucket" / SHA).iterdir():
        path.write_bytes(b"heights")
    for read in ("verify", "read", "fetch_verified"):
        with pytest.raises(DamagedBlob):
            getattr(machine(url, tmp_path / "there"), read)(SHA)
    machine(url, tmp_path / "here").put(DATA)
    assert machine(url, tmp_path / "there").read(SHA) == DATA


def test_delete_with_an_old_stamp_keeps_the_blob(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bucket, "RECENT_SECONDS", -10.0)
    here, there = machine(url, tmp_path / "here"), machine(url, tmp_path / "there")
    here.put(DATA)
    old = there.old()
    assert set(old) == {SHA}
    assert there.delete(SHA, old[SHA] - 1) is False
    assert there.delete(SHA, old[SHA])
    assert not there.delete(SHA, old[SHA])
    assert here.names() == set()


def test_ensure_puts_again_a_blob_that_is_not_recent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blobs = machine(f"file://{tmp_path}/bucket", tmp_path / "here")
    blobs.put(DATA)
    objects = tmp_path / "bucket" / SHA
    blobs.ensure(SHA, DATA)
    assert len(list(objects.iterdir())) == 1
    monkeypatch.setattr(bucket, "RECENT_SECONDS", -10.0)
    blobs.ensure(SHA, DATA)
    assert len(list(objects.iterdir())) == 2
    blobs.delete_abandoned()
    assert len(list(objects.iterdir())) == 1
    assert blobs.read(SHA) == DATA


def test_unused_local_copy_is_deleted_and_the_object_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bucket, "CACHE_CLEANUP_SECONDS", 0.0)
    blobs = machine(f"file://{tmp_path}/bucket", tmp_path / "here")
    blobs.put(DATA)
    os.utime(blobs.path(SHA), (0, 0))
    blobs.put(b"another")
    assert not blobs.path(SHA).exists()
    assert blobs.read(SHA) == DATA


def test_copy_from_a_folder_and_to_a_folder(url: str, tmp_path: Path) -> None:
    folder, blobs = FolderBlobs(tmp_path / "folder"), machine(url, tmp_path / "here")
    folder.put(DATA)
    blobs.copy_from(folder, SHA)
    copy = FolderBlobs(tmp_path / "copy")
    copy.copy_from(machine(url, tmp_path / "there"), SHA)
    assert copy.read(SHA) == DATA


@pytest.mark.parametrize("wrong", ["no such bucket", "no such server"])
def test_unreachable_bucket_raises_unavailable_not_missing(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    monkeypatch.setitem(bucket.RETRIES, "max_retries", 0)
    for name, value in server.environment(port=1 if wrong == "no such server" else None).items():
        monkeypatch.setenv(name, value)
    blobs = machine("s3://chainrule-elsewhere", tmp_path / "here")
    with pytest.raises(BlobStoreUnavailable):
        blobs.put(DATA)
    assert not blobs.path(SHA).exists()
    for read in (blobs.read, blobs.fetch, blobs.verify):
        with pytest.raises(BlobStoreUnavailable):
            read(SHA)
    with pytest.raises(BlobStoreUnavailable):
        blobs.names()


def test_name_that_is_not_a_hash_is_refused_and_ignored(tmp_path: Path) -> None:
    blobs = machine(f"file://{tmp_path}/bucket", tmp_path / "here")
    for name in ("../secret", "", "*", SHA.upper()):
        with pytest.raises(ValueError, match="not a sha256"):
            blobs.read(name)
    (tmp_path / "bucket" / "notes").mkdir(parents=True)
    (tmp_path / "bucket" / "notes" / "mine").write_text("left alone")
    blobs.put(DATA)
    assert blobs.names() == {SHA}
    assert isinstance(blobs, BucketBlobs)
