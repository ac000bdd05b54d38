"""Where big bytes live: files named by the sha256 of what they hold. A file that has its name is whole.

`core/blobs/bucket.py` keeps the same in a bucket, for services of several machines.
"""

import fcntl
import hashlib
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from types import TracebackType
from typing import Self

PART = ".part"
PIECE = 2**20
"""Bytes of one piece of a copy."""
YOUNG = 60.0
"""Seconds in which whoever put a blob, or asked to keep it, has written the row that names it."""
ABANDONED = 86_400.0
"""Seconds after which a file that is not written to any more is what a crash left."""
NAME = re.compile(r"[0-9a-f]{64}")
"""What a blob may be called."""


class BlobError(Exception):
    """A blob cannot be had."""


class BlobsAway(BlobError):
    """The bucket does not answer."""


class NoSuchBlob(BlobError):
    """There is no blob {sha256}."""

    def __init__(self, sha256: str) -> None:
        super().__init__(f"there is no blob {sha256}")
        self.sha256 = sha256


class DamagedBlob(BlobError):
    """Blob {sha256} holds other bytes than were put."""

    def __init__(self, sha256: str) -> None:
        super().__init__(f"blob {sha256} holds other bytes than were put")
        self.sha256 = sha256


class Blobs:
    """The blobs under one folder, which is made at the first use."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, data: bytes) -> str:
        """Keep the bytes, on the disk when this returns; their sha256."""
        with self.writer() as writer:
            writer.write(data)
            return writer.commit()

    def writer(self) -> "Writer":
        """For bytes that come a piece at a time; without a `commit` nothing stays."""
        self.root.mkdir(parents=True, exist_ok=True)
        return Writer(self)

    def path(self, sha256: str) -> Path:
        """Where the blob of that name lies on this machine, or would.

        Raises
        ------
        ValueError
            that is no sha256: nothing else becomes a part of a path.
        """
        if not NAME.fullmatch(sha256):
            raise ValueError(f"{sha256!r} is no sha256 in lower case hexadecimal")
        return self.root / sha256

    def fetch(self, sha256: str) -> Path:
        """The blob as a file of this machine, to read soon; its bytes are not verified.

        Raises
        ------
        NoSuchBlob
            it was never put, or is deleted.
        """
        if not (path := self.path(sha256)).exists():
            raise NoSuchBlob(sha256)
        return path

    def open(self, sha256: str) -> BufferedReader:
        """The blob's file, open. Otherwise as `fetch`."""
        try:
            return self.fetch(sha256).open("rb")
        except FileNotFoundError:
            raise NoSuchBlob(sha256) from None

    def read(self, sha256: str) -> bytes:
        """The blob's bytes, verified.

        Raises
        ------
        NoSuchBlob, DamagedBlob
            it is gone, or not what was put.
        """
        with self.open(sha256) as file:
            data = file.read()
        if hashlib.sha256(data).hexdigest() != sha256:
            raise DamagedBlob(sha256)
        return data

    def verify(self, sha256: str) -> int:
        """How many bytes the blob has, each of them verified a piece at a time.

        Raises
        ------
        NoSuchBlob, DamagedBlob
            it is gone, or not what was put.
        """
        with self.open(sha256) as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                raise DamagedBlob(sha256)
            return file.tell()

    def whole(self, sha256: str) -> Path:
        """As `fetch`, each byte verified.

        Raises
        ------
        NoSuchBlob, DamagedBlob
            it is gone, or not what was put.
        """
        self.verify(sha256)
        return self.fetch(sha256)

    def keep(self, sha256: str, data: bytes) -> None:
        """Have the blob be there and young, just before a row is written that names it: nobody deletes it meanwhile."""
        with self._alone(), suppress(FileNotFoundError):
            os.utime(self.path(sha256))
            return
        self.put(data)

    def names(self) -> set[str]:
        """The names of all blobs that there are."""
        paths = self.root.iterdir() if self.root.is_dir() else ()
        return {path.name for path in paths if NAME.fullmatch(path.name)}

    def take(self, source: "Blobs", sha256: str) -> None:
        """Have a blob of another folder here too: the same file by a hard link, or where none can be made a copy.

        Raises
        ------
        NoSuchBlob, DamagedBlob
            it is gone there, or its copy is not what was put.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        try:
            self.path(sha256).hardlink_to(source.fetch(sha256))
        except FileNotFoundError:
            raise NoSuchBlob(sha256) from None
        except OSError:
            self._copy(source, sha256)

    def _copy(self, source: "Blobs", sha256: str) -> None:
        with source.open(sha256) as file, self.writer() as writer:
            while data := file.read(PIECE):
                writer.write(data)
            if writer.sha256 != sha256:
                raise DamagedBlob(sha256)
            writer.commit()

    def old(self) -> dict[str, int]:
        """The names of all blobs that are not young, each with its stamp: another one after it was put or kept anew."""
        return {name: stamp for name, stamp in self._older_than(YOUNG) if NAME.fullmatch(name)}

    def delete(self, sha256: str, stamp: int) -> bool:
        """Remove an old blob that no row names; False where it is gone already, or was put or kept since its stamp."""
        path = self.path(sha256)
        with self._alone(), suppress(FileNotFoundError):
            if path.stat().st_mtime_ns == stamp:
                path.unlink()
                return True
        return False

    def clear(self) -> list[str]:
        """Remove what a crash left half written; the names."""
        parts = [name for name, _ in self._older_than(ABANDONED) if name.endswith(PART)]
        for name in parts:
            (self.root / name).unlink(missing_ok=True)
        return parts

    def _older_than(self, seconds: float) -> Iterator[tuple[str, int]]:
        """Names and stamps."""
        latest = time.time_ns() - int(seconds * 1e9)
        for path in sorted(self.root.iterdir()) if self.root.is_dir() else ():
            with suppress(FileNotFoundError):
                if (stamp := path.stat().st_mtime_ns) < latest:
                    yield path.name, stamp

    @contextmanager
    def _alone(self) -> Iterator[None]:
        # Between "it is there" and "so I need not write it" nobody else may delete it.
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / ".lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _adopt(self, part: Path, sha256: str) -> None:
        with self._alone():
            os.utime(part)
            part.replace(self.path(sha256))
        folder = os.open(self.root, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


class Writer:
    """A blob that is being written, to a file beside its place, hashed on the way. A context manager."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._part = blobs.root / f"{secrets.token_hex(16)}{PART}"
        self._hash = hashlib.sha256()
        self.bytes = 0

    @property
    def path(self) -> Path:
        """The file that is written to, to look into before the commit."""
        return self._part

    @property
    def sha256(self) -> str:
        """The name that the blob would get as it is now."""
        return self._hash.hexdigest()

    def __enter__(self) -> Self:
        self._file = self._part.open("xb")
        return self

    def write(self, data: bytes) -> None:
        """Add a piece."""
        self._hash.update(data)
        self.bytes += self._file.write(data)

    def flush(self) -> None:
        """Hand what was written to the file, so that others may read it at `path`."""
        self._file.flush()

    def commit(self) -> str:
        """Put the whole onto the disk and give it its name, the sha256 of it."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._blobs._adopt(self._part, self.sha256)  # noqa: SLF001 - the two are one thing
        return self.sha256

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):  # a full disk refuses what was not yet written once more; nobody wants it any more
            self._file.close()
        self._part.unlink(missing_ok=True)
