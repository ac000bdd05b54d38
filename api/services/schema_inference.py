"""Schema inference of uploads, in a child process per upload, so that a malicious file cannot harm the API.

The child has limits of memory and time, low priority, none of the service's variables (which hold secrets), and cannot
write files. Workers are also separate processes, but inferring the schema there would report an invalid file only
later, by a failed job; here the upload itself fails, and nothing is stored.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import structlog
from starlette.concurrency import run_in_threadpool

from core.data.errors import InvalidFile
from core.data.readers import infer_schema
from core.data.readers.infer_schema import Bounds
from core.data.readers.reader import FileReader
from core.data.schema import ColumnType, Limits, Schema
from core.settings import CORES

CODE_ROOT = Path(infer_schema.__file__).parents[3]
INHERITED_VARIABLES = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TMPDIR", "VIRTUAL_ENV")
MAX_CHILDREN = min(CORES, 16)
MAX_WAITING_PER_CHILD = 8
"""Uploads in the queue per running child; further uploads are refused."""
STARTUP_SECONDS = 10.0
"""Wall-clock seconds for the child's start and for a busy machine, in addition to those for the file."""
MAX_OUTPUT_BYTES = 256 * 2**20
MAX_ERROR_BYTES = 2**16
LOGGED_ERROR_BYTES = 2000

log = structlog.get_logger("api")


class UnreadableFile(InvalidFile):
    """Reading the file exceeded a limit or crashed the child process."""

    code = "unreadable_file"


class TooManyUploads(Exception):
    """Too many uploads wait for their schema: send it again in a moment."""

    def __init__(self) -> None:
        super().__init__(str(self.__doc__))


class SchemaInference:
    """A queue of schema inferences: at most one per core runs, and those that wait hold no thread.

    Parameters
    ----------
    bounds
        Time and memory of each inference.
    max_running, max_waiting
        How many run at a time, and how many may wait.
    """

    def __init__(
        self,
        bounds: Bounds,
        max_running: int = MAX_CHILDREN,
        max_waiting: int = MAX_CHILDREN * MAX_WAITING_PER_CHILD,
    ) -> None:
        self._bounds = bounds
        self._capacity = max_running + max_waiting
        self._in_progress = 0
        self._slots = asyncio.Semaphore(max_running)

    async def infer(
        self, path: Path, reader: FileReader, types: Mapping[str, ColumnType] | None, limits: Limits
    ) -> Schema:
        """Return the schema of a file.

        Raises
        ------
        InvalidFile
            With the first error in the file and its place.
        UnreadableFile
            Reading exceeds the bounds or crashes.
        TooManyUploads
            Too many inferences wait already.
        """
        if self._in_progress >= self._capacity:
            raise TooManyUploads
        self._in_progress += 1
        try:
            async with self._slots:
                return await run_in_threadpool(infer_in_child, path, reader, types, limits, self._bounds)
        finally:
            self._in_progress -= 1


def infer_in_child(
    path: Path, reader: FileReader, types: Mapping[str, ColumnType] | None, limits: Limits, bounds: Bounds
) -> Schema:
    """Return the schema of a file, inferred by a child process. Raise `InvalidFile` or `UnreadableFile`."""
    request = {
        "path": str(path.absolute()),
        "format": reader.format,
        "options": reader.options(),
        "types": dict(types or {}),
        "limits": asdict(limits),
        "bounds": asdict(bounds),
    }
    answer = _run_child(json.dumps(request).encode(), bounds)
    if "invalid" in answer:
        raise InvalidFile(answer["invalid"])
    if "memory" in answer:
        raise UnreadableFile(
            f"reading the file takes more than {bounds.bytes:,} bytes of memory: send fewer columns or shorter rows, "
            "or raise CHAINRULE_SCHEMA_MEMORY_BYTES"
        )
    return Schema.from_json(answer["schema"])


def _run_child(request: bytes, bounds: Bounds) -> dict[str, Any]:
    timed_out = threading.Event()
    with _start_child() as child:
        timer = threading.Timer(bounds.seconds + STARTUP_SECONDS, _kill, [child, timed_out])
        timer.start()
        try:
            output, errors = _communicate(child, request)
        finally:
            timer.cancel()
            child.kill()
    if timed_out.is_set() or child.returncode == -signal.SIGXCPU:
        raise UnreadableFile(
            f"reading the file takes longer than {bounds.seconds:g} s: send fewer rows or columns, "
            "or raise CHAINRULE_SCHEMA_SECONDS"
        )
    if child.returncode != 0:
        how = signal.Signals(-child.returncode).name if child.returncode < 0 else f"exit code {child.returncode}"
        log.error("schema inference crashed", how=how, stderr=errors.decode(errors="replace"))
        raise UnreadableFile(
            f"reading the file crashed ({how}): it may be damaged or of another format; the service's log has details"
        )
    return dict(json.loads(output))


def _start_child() -> "subprocess.Popen[bytes]":
    inherited = {name: os.environ[name] for name in INHERITED_VARIABLES if name in os.environ}
    return subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-m", infer_schema.__name__],
        cwd=CODE_ROOT,
        env={**inherited, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(CODE_ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def _kill(child: "subprocess.Popen[bytes]", timed_out: threading.Event) -> None:
    timed_out.set()
    child.kill()


def _communicate(child: "subprocess.Popen[bytes]", request: bytes) -> tuple[bytes, bytes]:
    """Send the request; return standard output and the end of standard error, both bounded."""
    pipes: list[IO[bytes]] = [pipe for pipe in (child.stdin, child.stdout, child.stderr) if pipe]
    stdin, stdout, stderr = pipes
    with suppress(BrokenPipeError):  # the child exited before it read the request: its exit code tells the cause
        stdin.write(request)
        stdin.close()
    output = stdout.read(MAX_OUTPUT_BYTES)
    stdout.close()
    errors = stderr.read(MAX_ERROR_BYTES)
    child.wait()
    return output, errors[-LOGGED_ERROR_BYTES:]
