"""A process of the compute pool: it runs one task at a time for the API, and ends with the API.

Both ends are here: `ComputeProcess` in the API, and `main`, which the process runs. They share a socket that nobody
else reaches, so messages are pickled; the file for a task's result is sent with it. The process is a fresh program, not
a fork, since the API has threads.
"""

import os
import pickle
import resource
import signal
import socket
import struct
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from api.http.errors import TooMuchWork
from core import allocator

CODE_ROOT = Path(__file__).parents[2]
NICENESS = 10
KEPT_BYTES = 320 * 2**20
"""Memory that a process may keep after a task; with more it is replaced."""
MAX_ERROR_BYTES = 2**20
PROGRAM = f"from {__name__} import main; main()"
"""Not `python -m`: then the classes of the messages would be other ones, those of `__main__`."""
_LENGTH = struct.Struct("!Q")


@dataclass(frozen=True, slots=True)
class Task:
    """A function and its arguments, and the bounds of its result.

    A streamed function returns pieces of bytes, written to the result file one by one; the result of any other
    function is pickled into that file.
    """

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    max_result_bytes: int
    streamed: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """Outcome of a task: the size of its result or the error, and whether its process has to be replaced."""

    bytes: int = 0
    error: Exception | None = None
    worn: bool = False


class ProcessDied(Exception):
    """The process of a task ended before the task did."""

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(signal.Signals(-code).name if code < 0 else f"exit code {code}")


class ComputeProcess:
    """The API's end: a process, started at once, that is ready for a task after a moment."""

    def __init__(self, memory_bytes: int) -> None:
        self._socket, child_socket = socket.socketpair()
        with child_socket:
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-c", PROGRAM, str(child_socket.fileno()), str(memory_bytes)],
                cwd=CODE_ROOT,
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(CODE_ROOT)},
                stdin=subprocess.PIPE,  # it ends when the API, which has the other end, has ended
                stdout=subprocess.DEVNULL,
                pass_fds=[child_socket.fileno()],
                start_new_session=True,
            )
        self.pid = self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.poll() is None

    def wait_until_ready(self) -> None:
        """Wait until the process can run tasks. Raise `ProcessDied` if it ends instead."""
        try:
            _receive(self._socket)
        except (OSError, EOFError):
            raise self._died() from None

    def run(self, task: Task, result: IO[bytes]) -> Outcome:
        """Run a task and wait for its end; raise `ProcessDied` if the process is killed meanwhile."""
        try:
            _send(self._socket, pickle.dumps(task, pickle.HIGHEST_PROTOCOL), result.fileno())
            outcome: Outcome = pickle.loads(_receive(self._socket)[0])  # noqa: S301 - of our own process
        except (OSError, EOFError):
            raise self._died() from None
        return outcome

    def _died(self) -> ProcessDied:
        self._process.kill()
        return ProcessDied(self._process.wait())

    def kill(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()

    def close(self) -> None:
        """End the process, wait for its end, and close what belongs to it; not during `run`."""
        self._process.kill()
        self._process.wait()
        self._socket.close()
        if self._process.stdin:
            self._process.stdin.close()


def main() -> None:
    """Run tasks until the API closes the socket or ends."""
    connection, memory_bytes = socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2])
    threading.Thread(target=_end_with_parent, daemon=True).start()
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(NICENESS)
    with suppress(EOFError):
        _send(connection, b"")
        while True:
            content, descriptor = _receive(connection)
            with os.fdopen(descriptor, "r+b") as result:
                outcome = _outcome(content, result)
            del content
            allocator.release_freed_memory()
            if allocator.resident_bytes() > KEPT_BYTES:
                outcome = replace(outcome, worn=True)
            _send(connection, _pickled(outcome))


def _end_with_parent() -> None:
    """Wait until the parent has ended in any way, which closes standard input; then end this process."""
    while os.read(0, 1):
        pass
    os._exit(1)


def _outcome(content: bytearray, file: IO[bytes]) -> Outcome:
    """Run a pickled task and write its result."""
    try:
        task: Task = pickle.loads(content)  # noqa: S301 - from the API
        result = _BoundedFile(file, task.max_result_bytes)
        returned = task.function(*task.arguments)
        if task.streamed:
            result.write_all(returned)
        else:
            pickle.dump(returned, result, pickle.HIGHEST_PROTOCOL)
        return Outcome(bytes=result.bytes)
    except MemoryError:
        return Outcome(error=TooMuchWork.memory(), worn=True)
    except Exception as error:
        error.add_note(traceback.format_exc())
        return Outcome(error=error)


class _BoundedFile:
    """A file that takes up to `limit` bytes; raises `TooMuchWork` beyond."""

    def __init__(self, file: IO[bytes], limit: int) -> None:
        self._file = file
        self._limit = limit
        self.bytes = 0

    def write(self, data: bytes) -> int:
        self.bytes += memoryview(data).nbytes
        if self.bytes > self._limit:
            raise TooMuchWork.answer(self._limit)
        return self._file.write(data)

    def write_all(self, pieces: Iterable[bytes]) -> None:
        for piece in pieces:
            self.write(piece)


class _PortableError:
    """An exception as its class, arguments and attributes: those of the core cannot be pickled by their arguments."""

    def __init__(self, error: Exception) -> None:
        self._parts = type(error), error.args, error.__dict__

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, self._parts


def _rebuild(kind: type[Exception], arguments: tuple[Any, ...], attributes: dict[str, Any]) -> Exception:
    error = kind.__new__(kind, *arguments)
    error.args = arguments
    error.__dict__.update(attributes)
    return error


def _pickled(outcome: Outcome) -> bytes:
    """Return the outcome as bytes; an error that cannot be pickled as text."""
    if outcome.error is None:
        return pickle.dumps(outcome)
    try:
        portable: Any = _PortableError(outcome.error)
        content = pickle.dumps(replace(outcome, error=portable), pickle.HIGHEST_PROTOCOL)
        pickle.loads(content)  # noqa: S301 - just written
        if len(content) <= MAX_ERROR_BYTES:
            return content
    except Exception:  # noqa: S110 - an error's own code runs here and may raise anything
        pass
    text = "".join(traceback.format_exception(outcome.error))[-MAX_ERROR_BYTES:]
    return pickle.dumps(replace(outcome, error=RuntimeError(text)))


def _send(connection: socket.socket, content: bytes, *descriptors: int) -> None:
    """Send a message, with file descriptors that the other end gets copies of."""
    socket.send_fds(connection, [_LENGTH.pack(len(content))], descriptors)
    connection.sendall(content)


def _receive(connection: socket.socket) -> tuple[bytearray, int]:
    """Return a message and its file descriptor, or -1. Raise `EOFError` at the end of the connection."""
    head, descriptors, _, _ = socket.recv_fds(connection, _LENGTH.size, 1)
    if len(head) < _LENGTH.size:
        raise EOFError
    content = bytearray(_LENGTH.unpack(head)[0])
    rest = memoryview(content)
    while rest:
        if not (count := connection.recv_into(rest)):
            raise EOFError
        rest = rest[count:]
    return content, descriptors[0] if descriptors else -1
