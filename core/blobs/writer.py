"""Write a blob in pieces: hashed on the way, visible under its name only after `commit`."""

import hashlib
import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

PART_SUFFIX = ".part"


class BlobWriter:
    """A blob that is being written to a temporary file. A context manager; without a `commit` it leaves no file.

    Parameters
    ----------
    folder
        Folder of the temporary file.
    publish
        Called by `commit` with the temporary file, which is complete and synced to disk, and its sha256.
    """

    def __init__(self, folder: Path, publish: Callable[[Path, str], None]) -> None:
        self._publish = publish
        self._part = folder / f"{secrets.token_hex(16)}{PART_SUFFIX}"
        self._hash = hashlib.sha256()
        self.bytes = 0

    @property
    def path(self) -> Path:
        """The temporary file, to read before the commit."""
        return self._part

    @property
    def sha256(self) -> str:
        """The sha256 of the bytes written so far."""
        return self._hash.hexdigest()

    def __enter__(self) -> Self:
        self._file = self._part.open("xb")
        return self

    def write(self, data: bytes) -> None:
        """Append bytes."""
        self._hash.update(data)
        self.bytes += self._file.write(data)

    def flush(self) -> None:
        """Flush Python's buffer to the file, so that other processes can read it at `path`."""
        self._file.flush()

    def commit(self) -> str:
        """Sync the file to disk, publish it under its sha256, and return that."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._publish(self._part, self.sha256)
        return self.sha256

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):  # a full disk refuses the buffered rest again, which nobody needs any more
            self._file.close()
        self._part.unlink(missing_ok=True)
