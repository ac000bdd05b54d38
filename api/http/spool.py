"""Request bodies as the routes get them: small ones in memory, large ones in a temporary file without a name.

The kernel deletes such a file with the last process that has it open, so that nothing is left however the API ends.
"""

import os
import tempfile
from io import FileIO
from pathlib import Path
from typing import Any, Self

MEMORY_BYTES = 2**20
"""Bodies up to this size stay in memory."""
OPEN_FILES = Path("/proc/self/fd")
"""Where Linux lists the open files of a process; through that of another process its files can be read."""


class Body:
    """A request body. Its bytes can be read until the request is answered.

    Parameters
    ----------
    folder
        Folder on the disk that takes bodies above `MEMORY_BYTES`.
    """

    def __init__(self, folder: Path) -> None:
        self.size = 0
        self._folder = folder
        self._pieces: list[bytes] = []
        self._file: FileIO | None = None
        self._path: Path | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle what another process of this user needs to read the body before the request is answered."""
        return Body._of, (self._reference(), self.size)

    @classmethod
    def _of(cls, reference: bytes | Path, size: int) -> Self:
        """Return a body of another process, given its bytes or the path of its file."""
        body = cls(Path())
        body.size = size
        if isinstance(reference, Path):
            body._path = reference
        else:
            body._pieces = [reference]
        return body

    def fits_in_memory(self, data: bytes) -> bool:
        """Whether the body stays in memory with these further bytes."""
        return self._file is None and self.size + len(data) <= MEMORY_BYTES

    def append(self, data: bytes) -> None:
        """Append bytes; where they do not fit in memory this writes to disk. Raise `OSError` where that is full."""
        if self.fits_in_memory(data):
            self._pieces.append(data)
        else:
            self._write(data)
        self.size += len(data)

    def read(self) -> bytes:
        """Return all bytes. Each call reads a large body from disk again, and keeps no copy."""
        if self._path is not None:
            return self._path.read_bytes()
        if self._file is not None:
            self._file.seek(0)
            return self._file.readall()
        if len(self._pieces) > 1:
            self._pieces = [b"".join(self._pieces)]
        return self._pieces[0] if self._pieces else b""

    def _reference(self) -> bytes | Path:
        """Return the path of a large body's file, by which other processes read it; else the bytes."""
        if self._file is None or not OPEN_FILES.exists():
            return self.read()
        return Path(f"/proc/{os.getpid()}/fd/{self._file.fileno()}")

    def close(self) -> None:
        """Free the memory and the disk."""
        self._pieces = []
        if self._file is not None:
            self._file.close()

    def _write(self, data: bytes) -> None:
        if self._file is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._file = tempfile.TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115 - `close` closes it
            pieces, self._pieces = self._pieces, []
            data = b"".join([*pieces, data])
        rest = memoryview(data)
        while rest:
            rest = rest[self._file.write(rest) :]
