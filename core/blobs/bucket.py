"""Blobs in a bucket, shared by machines without a common folder; a local folder caches recently used ones.

Each put makes an object of its own, `<sha256>/<random>`: no bucket can delete an object on the condition that it was
not overwritten meanwhile, so what was put meanwhile must have another key.
"""

import hashlib
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import obstore
from obstore.exceptions import BaseError
from obstore.store import from_url

from core.blobs.blobs import CHUNK_BYTES, SHA256_PATTERN, Blobs
from core.blobs.errors import BlobStoreUnavailable, DamagedBlob, NoSuchBlob
from core.blobs.folder import FolderBlobs, copy_bytes, open_fetched, read_verified
from core.blobs.writer import BlobWriter
from core.settings import SettingsError, variable

if TYPE_CHECKING:  # obstore has these names in its stubs only
    from obstore.store import ClientConfig, ObjectStore, RetryConfig

RECENT_SECONDS = 3600.0
"""Seconds within which a process that put a blob has written the row that names it; allows for clocks that differ."""
CACHE_SECONDS = 86_400.0
"""Seconds without use after which the local copy of a blob is deleted."""
CACHE_CLEANUP_SECONDS = 600.0
"""Seconds between two deletions of unused local copies."""
WRITABLE_KEY = "writable"
"""Key of the empty object by which `check_writable` finds out; the name of no blob."""
RETRIES: "RetryConfig" = {"max_retries": 5, "retry_timeout": timedelta(seconds=20)}
TIMEOUTS: "ClientConfig" = {"allow_http": True, "connect_timeout": "5s", "read_timeout": "20s", "timeout": "1h"}

Result = TypeVar("Result")


def open_bucket(root: Path, url: str) -> "BucketBlobs":
    """Open the bucket at an address such as `s3://bucket/prefix`; credentials come from the provider's own variables.

    Raises
    ------
    SettingsError
        If the address is not valid.
    """
    try:
        if url.startswith("file:"):
            return BucketBlobs(root, from_url(url, mkdir=True))
        return BucketBlobs(root, from_url(url, retry_config=RETRIES, client_options=TIMEOUTS))
    except (BaseError, ValueError) as error:
        raise SettingsError(variable("blobs_url"), str(error).splitlines()[0]) from None


class BucketBlobs(Blobs):
    """The blobs in a bucket. Not for a process that forks afterwards: obstore's threads do not survive a fork.

    Parameters
    ----------
    root
        Folder of the local cache.
    store
        The bucket.
    """

    probe_seconds = 30.0

    def __init__(self, root: Path, store: "ObjectStore") -> None:
        self.cache = FolderBlobs(root)
        self._store = store
        self._put_at: dict[str, float] = {}
        self._cleanup_at = time.monotonic() + CACHE_CLEANUP_SECONDS

    def check_writable(self) -> None:
        """Overwrite the one object `WRITABLE_KEY`, and write to the local cache. Raises as `Blobs`."""
        self._put(WRITABLE_KEY, b"")
        self.cache.check_writable()

    def put(self, data: bytes) -> str:
        """Store the bytes durably and return their sha256."""
        with self.writer() as writer:
            writer.write(data)
            return writer.commit()

    def writer(self) -> BlobWriter:
        """Return a writer for bytes that arrive in pieces."""
        self.cache.root.mkdir(parents=True, exist_ok=True)
        return BlobWriter(self.cache.root, self._publish)

    def path(self, sha256: str) -> Path:
        """Return where the blob's file is on this machine, or would be."""
        return self.cache.path(sha256)

    def fetch(self, sha256: str) -> Path:
        """Return the blob as a local file; one that has to be downloaded is verified. Raises as `Blobs`."""
        path = self.path(sha256)
        try:
            os.utime(path)
        except FileNotFoundError:
            self._download(sha256)
        return path

    def open(self, sha256: str) -> BufferedReader:
        """Open the blob's local file for reading. Raises as `Blobs`."""
        return open_fetched(self, sha256)

    def read(self, sha256: str) -> bytes:
        """Return the blob's bytes, verified. Raises as `Blobs`."""
        return self._retry_damaged(sha256, lambda: read_verified(self, sha256))

    def verify(self, sha256: str) -> int:
        """Verify the bytes in the bucket and return their number. Raises as `Blobs`."""
        digest = hashlib.sha256()
        size = 0
        for chunk in self._stream(sha256, self._keys(sha256)[0]):
            digest.update(chunk)
            size += len(chunk)
        if digest.hexdigest() != sha256:
            raise DamagedBlob(sha256)
        return size

    def fetch_verified(self, sha256: str) -> Path:
        """Return the blob as a local file whose bytes are verified. Raises as `Blobs`."""

        def fetch() -> Path:
            path = self.fetch(sha256)
            self.cache.verify(sha256)
            return path

        return self._retry_damaged(sha256, fetch)

    def ensure(self, sha256: str, data: bytes) -> None:
        """Make sure that the blob exists and is recent."""
        if time.monotonic() - self._put_at.get(sha256, float("-inf")) > RECENT_SECONDS / 2:
            self.put(data)

    def names(self) -> set[str]:
        """Return the sha256 of all blobs."""
        return {name for name, _, _ in self._objects()}

    def copy_from(self, source: Blobs, sha256: str) -> None:
        """Copy a blob of another storage to this one. Raises as `Blobs`."""
        copy_bytes(source, self, sha256)

    def old(self) -> dict[str, int]:
        """Return the sha256 and stamp of all blobs that are not recent."""
        newest: dict[str, int] = {}
        for name, stamp, _ in self._objects():
            newest[name] = max(stamp, newest.get(name, 0))
        latest = time.time_ns() - int(RECENT_SECONDS * 1e9)
        return {name: stamp for name, stamp in sorted(newest.items()) if stamp < latest}

    def delete(self, sha256: str, stamp: int) -> bool:
        """Delete an old blob, unless it was put or ensured since that stamp."""
        objects = list(self._objects(sha256))
        if max((put_at for _, put_at, _ in objects), default=None) != stamp:
            return False
        self._delete([key for _, _, key in objects])
        self.path(sha256).unlink(missing_ok=True)
        return True

    def delete_abandoned(self) -> list[str]:
        """Delete temporary files of the cache and, of each blob, all old objects but the newest; return the files."""
        objects = sorted(self._objects(), reverse=True)
        latest = time.time_ns() - int(RECENT_SECONDS * 1e9)
        superseded = [
            key
            for (name, _, key), newer in zip(objects[1:], objects, strict=False)
            if name == newer[0] and newer[1] < latest
        ]
        self._delete(superseded)
        return self.cache.delete_abandoned()

    def _publish(self, part: Path, sha256: str) -> None:
        self._put(f"{sha256}/{secrets.token_hex(16)}", part)
        now = time.monotonic()
        self._put_at = {name: at for name, at in self._put_at.items() if now - at < RECENT_SECONDS} | {sha256: now}
        self.cache.publish(part, sha256)
        self._clean_cache()

    def _put(self, key: str, content: bytes | Path) -> None:
        try:
            with _translated_errors():
                obstore.put(self._store, key, content)
        except FileNotFoundError:
            raise BlobStoreUnavailable("there is no such bucket") from None

    def _download(self, sha256: str) -> None:
        """Download the newest undamaged object of the blob."""
        for key in self._keys(sha256):
            with self.cache.writer() as writer:
                for chunk in self._stream(sha256, key):
                    writer.write(chunk)
                if writer.sha256 == sha256:
                    writer.commit()
                    self._clean_cache()
                    return
        raise DamagedBlob(sha256)

    def _keys(self, sha256: str) -> list[str]:
        """Return the keys of a blob's objects, newest first."""
        if keys := [key for _, _, key in sorted(self._objects(sha256), reverse=True)]:
            return keys
        raise NoSuchBlob(sha256)

    def _stream(self, sha256: str, key: str) -> Iterator[bytes]:
        try:
            with _translated_errors():
                for chunk in obstore.get(self._store, key).stream(min_chunk_size=CHUNK_BYTES):
                    yield bytes(chunk)
        except FileNotFoundError:
            raise NoSuchBlob(sha256) from None

    def _retry_damaged(self, sha256: str, read: Callable[[], Result]) -> Result:
        """Read once; where the local copy is damaged, delete it and read again from the bucket."""
        try:
            return read()
        except DamagedBlob:
            self.path(sha256).unlink(missing_ok=True)
            return read()

    def _objects(self, sha256: str | None = None) -> Iterator[tuple[str, int, str]]:
        """Yield sha256, stamp (nanoseconds) and key of the objects of one blob, or of all."""
        prefix = f"{self.path(sha256).name}/" if sha256 is not None else None
        with _translated_errors():
            for batch in obstore.list(self._store, prefix):
                for found in batch:
                    name, _, rest = found["path"].partition("/")
                    if rest and SHA256_PATTERN.fullmatch(name):
                        yield name, int(found["last_modified"].timestamp() * 1e9), found["path"]

    def _delete(self, keys: list[str]) -> None:
        with _translated_errors():
            obstore.delete(self._store, keys)

    def _clean_cache(self) -> None:
        """At most every `CACHE_CLEANUP_SECONDS`, delete local copies that were not used for `CACHE_SECONDS`."""
        if time.monotonic() < self._cleanup_at:
            return
        self._cleanup_at = time.monotonic() + CACHE_CLEANUP_SECONDS
        for name, stamp in self.cache.old().items():
            if time.time_ns() - stamp > CACHE_SECONDS * 1e9:
                self.cache.delete(name, stamp)


@contextmanager
def _translated_errors() -> Iterator[None]:
    """Raise `BlobStoreUnavailable` for errors of obstore."""
    try:
        yield
    except BaseError as error:
        raise BlobStoreUnavailable(str(error).splitlines()[0]) from error
