"""Blobs as files of one folder, each named by the sha256 of its bytes. A file that has its name is complete."""

import fcntl
import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path

from core.blobs.blobs import CHUNK_BYTES, SHA256_PATTERN, Blobs
from core.blobs.errors import DamagedBlob, NoSuchBlob
from core.blobs.writer import PART_SUFFIX, BlobWriter

RECENT_SECONDS = 60.0
"""Seconds within which a process that put or ensured a blob has written the row that names it."""
PROBE_BYTES = 2**18
"""A disk that has less room is full."""
ABANDONED_SECONDS = 86_400.0
"""Seconds without a write after which a temporary file belongs to a writer that was interrupted."""


class FolderBlobs(Blobs):
    """The blobs in one folder, which is made at the first use."""

    probe_seconds = 3.0

    def __init__(self, root: Path) -> None:
        self.root = root

    def check_writable(self) -> None:
        """Write a file without a name. Raise `OSError` where the disk refuses it."""
        self.root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=self.root) as file:
            file.write(bytes(PROBE_BYTES))
            file.flush()
            os.fsync(file.fileno())

    def put(self, data: bytes) -> str:
        """Store the bytes durably and return their sha256."""
        with self.writer() as writer:
            writer.write(data)
            return writer.commit()

    def writer(self) -> BlobWriter:
        """Return a writer for bytes that arrive in pieces."""
        self.root.mkdir(parents=True, exist_ok=True)
        return BlobWriter(self.root, self.publish)

    def publish(self, part: Path, sha256: str) -> None:
        """Give a complete temporary file of this folder its name, durably."""
        with self._locked():
            os.utime(part)
            part.replace(self.path(sha256))
        folder = os.open(self.root, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def path(self, sha256: str) -> Path:
        """Return where the blob's file is on this machine, or would be."""
        if not SHA256_PATTERN.fullmatch(sha256):
            raise ValueError(f"{sha256!r} is not a sha256 in lower-case hexadecimal")
        return self.root / sha256

    def fetch(self, sha256: str) -> Path:
        """Return the blob as a local file; its bytes are not verified. Raises as `Blobs`."""
        if not (path := self.path(sha256)).exists():
            raise NoSuchBlob(sha256)
        return path

    def open(self, sha256: str) -> BufferedReader:
        """Open the blob's local file for reading. Raises as `Blobs`."""
        return open_fetched(self, sha256)

    def read(self, sha256: str) -> bytes:
        """Return the blob's bytes, verified. Raises as `Blobs`."""
        return read_verified(self, sha256)

    def verify(self, sha256: str) -> int:
        """Verify the stored bytes in chunks and return their number. Raises as `Blobs`."""
        with self.open(sha256) as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                raise DamagedBlob(sha256)
            return file.tell()

    def fetch_verified(self, sha256: str) -> Path:
        """Return the blob as a local file whose bytes are verified. Raises as `Blobs`."""
        self.verify(sha256)
        return self.fetch(sha256)

    def ensure(self, sha256: str, data: bytes) -> None:
        """Make sure that the blob exists and is recent."""
        with self._locked(), suppress(FileNotFoundError):
            os.utime(self.path(sha256))
            return
        self.put(data)

    def names(self) -> set[str]:
        """Return the sha256 of all blobs."""
        paths = self.root.iterdir() if self.root.is_dir() else ()
        return {path.name for path in paths if SHA256_PATTERN.fullmatch(path.name)}

    def copy_from(self, source: Blobs, sha256: str) -> None:
        """Copy a blob of another storage to this one; on the same file system as a hard link. Raises as `Blobs`."""
        self.root.mkdir(parents=True, exist_ok=True)
        try:
            self.path(sha256).hardlink_to(source.fetch(sha256))
        except FileNotFoundError:
            raise NoSuchBlob(sha256) from None
        except OSError:
            copy_bytes(source, self, sha256)

    def old(self) -> dict[str, int]:
        """Return the sha256 and stamp of all blobs that are not recent."""
        return {name: stamp for name, stamp in self._older_than(RECENT_SECONDS) if SHA256_PATTERN.fullmatch(name)}

    def delete(self, sha256: str, stamp: int) -> bool:
        """Delete an old blob, unless it was put or ensured since that stamp."""
        path = self.path(sha256)
        with self._locked(), suppress(FileNotFoundError):
            if path.stat().st_mtime_ns == stamp:
                path.unlink()
                return True
        return False

    def delete_abandoned(self) -> list[str]:
        """Delete temporary files of interrupted writers, and return their names."""
        parts = [name for name, _ in self._older_than(ABANDONED_SECONDS) if name.endswith(PART_SUFFIX)]
        for name in parts:
            (self.root / name).unlink(missing_ok=True)
        return parts

    def _older_than(self, seconds: float) -> Iterator[tuple[str, int]]:
        """Yield name and modification time (nanoseconds) of each file older than that."""
        latest = time.time_ns() - int(seconds * 1e9)
        for path in sorted(self.root.iterdir()) if self.root.is_dir() else ():
            with suppress(FileNotFoundError):
                if (stamp := path.stat().st_mtime_ns) < latest:
                    yield path.name, stamp

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Exclude other processes: nobody may delete a file between the check that it exists and the use of that."""
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / ".lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def open_fetched(blobs: Blobs, sha256: str) -> BufferedReader:
    """Open the file that `blobs.fetch` returns; `NoSuchBlob` where it was deleted in between."""
    try:
        return blobs.fetch(sha256).open("rb")
    except FileNotFoundError:
        raise NoSuchBlob(sha256) from None


def read_verified(blobs: Blobs, sha256: str) -> bytes:
    """Read a whole blob; `DamagedBlob` where its bytes do not have this hash."""
    with blobs.open(sha256) as file:
        data = file.read()
    if hashlib.sha256(data).hexdigest() != sha256:
        raise DamagedBlob(sha256)
    return data


def copy_bytes(source: Blobs, target: Blobs, sha256: str) -> None:
    """Copy a blob in chunks; `DamagedBlob` where the copied bytes do not have this hash."""
    with source.open(sha256) as file, target.writer() as writer:
        while data := file.read(CHUNK_BYTES):
            writer.write(data)
        if writer.sha256 != sha256:
            raise DamagedBlob(sha256)
        writer.commit()
