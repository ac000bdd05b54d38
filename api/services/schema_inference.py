"""An upload is read for the first time in a process of its own, which may die of it without harm to the API.

The child has limits of memory and time, low priority, none of our variables (so no secrets) and may write no file. It
is not the worker, though that is a process apart too: there a client would learn only later, from a failed job, that
its file is wrong; here it is told at once, and nothing is kept.
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
from core.data.readers.formats import FORMATS, Format
from core.data.readers.infer_schema import Bounds
from core.data.schema import ColumnType, Limits, Schema
from core.settings import CORES

CODE = Path(infer_schema.__file__).parents[3]
INHERITED = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TMPDIR", "VIRTUAL_ENV")
AT_ONCE = min(CORES, 16)
WAITING = 8
"""Uploads that wait for each that is read; more are told to come again."""
STARTING = 10.0
"""Seconds on the clock for the child's start and for a busy machine, beside those for the file."""
MOST = 256 * 2**20
"""Bytes of an answer that are read."""

log = structlog.get_logger("api")


class UnreadableFile(InvalidFile):
    """The reader did not come to an end with this file."""

    code = "unreadable_file"


class TooManyUploads(Exception):
    """There are more uploads to be read than this machine reads soon: send it again in a moment."""

    def __init__(self) -> None:
        super().__init__(str(self.__doc__))


class SchemaInference:
    """At most one inspection for each core at a time; the others wait, and hold no thread while they do.

    Parameters
    ----------
    bounds
        What each may take.
    at_once, waiting
        How many are read at a time, and how many may wait for that.
    """

    def __init__(self, bounds: Bounds, at_once: int = AT_ONCE, waiting: int = AT_ONCE * WAITING) -> None:
        self._bounds = bounds
        self._most = at_once + waiting
        self._under_way = 0
        self._slots = asyncio.Semaphore(at_once)

    async def inspect(
        self, path: Path, layout: Format, types: Mapping[str, ColumnType] | None, limits: Limits
    ) -> Schema:
        """The schema of a file.

        Raises
        ------
        InvalidFile, UnreadableFile
            with the place of the first thing that is wrong; it takes too much, or ended the reader.
        TooManyUploads
            too many wait already.
        """
        if self._under_way >= self._most:
            raise TooManyUploads
        self._under_way += 1
        try:
            async with self._slots:
                return await run_in_threadpool(inspect_apart, path, layout, types, limits, self._bounds)
        finally:
            self._under_way -= 1


def inspect_apart(
    path: Path, layout: Format, types: Mapping[str, ColumnType] | None, limits: Limits, bounds: Bounds
) -> Schema:
    """The schema of a file, found by a child. Raises what `SchemaInference.inspect` raises."""
    word = next(word for word, kind in FORMATS.items() if isinstance(layout, kind))
    asked = {"path": str(path.absolute()), "format": word, "layout": asdict(layout), "types": dict(types or {})}
    answer = _ask({**asked, "limits": asdict(limits), "bounds": asdict(bounds)}, bounds)
    if "invalid" in answer:
        raise InvalidFile(answer["invalid"])
    if "memory" in answer:
        raise UnreadableFile(
            f"reading the file takes more than {bounds.bytes:,} bytes of memory: send fewer columns or shorter rows, "
            "or raise CHAINRULE_SCHEMA_MEMORY_BYTES"
        )
    return Schema.from_json(answer["schema"])


def _ask(asked: Mapping[str, Any], bounds: Bounds) -> dict[str, Any]:
    late = threading.Event()
    with _child() as child:
        timer = threading.Timer(bounds.seconds + STARTING, _end, [child, late])
        timer.start()
        try:
            told, said = _talk(child, json.dumps(asked).encode())
        finally:
            timer.cancel()
            child.kill()
    if late.is_set() or child.returncode == -signal.SIGXCPU:
        raise UnreadableFile(
            f"reading the file takes longer than {bounds.seconds:g} s: send fewer rows or columns, "
            "or raise CHAINRULE_SCHEMA_SECONDS"
        )
    if child.returncode != 0:
        how = signal.Signals(-child.returncode).name if child.returncode < 0 else f"exit code {child.returncode}"
        log.error("the reader of an upload died", how=how, said=said.decode(errors="replace"))
        raise UnreadableFile(
            f"the file ended its reader ({how}): it may be damaged or of another format; the service's log has more"
        )
    return dict(json.loads(told))


def _child() -> "subprocess.Popen[bytes]":
    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
    return subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-m", infer_schema.__name__],
        cwd=CODE,
        env={**inherited, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(CODE)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def _end(child: "subprocess.Popen[bytes]", late: threading.Event) -> None:
    late.set()
    child.kill()


def _talk(child: "subprocess.Popen[bytes]", asked: bytes) -> tuple[bytes, bytes]:
    """What the child answers, and the end of what it says beside it."""
    pipes: list[IO[bytes]] = [pipe for pipe in (child.stdin, child.stdout, child.stderr) if pipe]
    to, answer, beside = pipes
    with suppress(BrokenPipeError):  # it died before it heard: its exit code tells how
        to.write(asked)
        to.close()
    told = answer.read(MOST)
    answer.close()
    said = beside.read(2**16)
    child.wait()
    return told, said[-2000:]
