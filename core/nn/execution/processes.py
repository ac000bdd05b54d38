"""Forked processes that compute shards of a step: a copy of this process, reached through a pipe and shared memory.

Threads share one interpreter lock and take turns between operations. Where operations take a few microseconds, two
threads take as long as one: half a batch of LeNet took 3.1 ms alone, and 5.3 ms beside the other half.
"""

import gc
import os
import signal
import sys
import traceback
import weakref
from collections.abc import Callable
from contextlib import suppress
from mmap import ACCESS_WRITE
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

import numpy as np

from core.nn.arrays import Array, Shape, lazy_zeros
from core.nn.step.step import ShardProcessKilled

CAN_FORK = sys.platform == "linux"
"""Elsewhere a process whose libraries run threads must not be forked, or cannot be."""

POLLS_BEFORE_SLEEP = 200
"""How often to poll for a message before sleeping until it comes: about half a millisecond."""

BLOCKED_SIGNALS = frozenset({signal.SIGINT, signal.SIGTERM})
"""Signals that a terminal sends to the whole process group, meant for the training process; shards block them."""


class ShardProcess:
    """A forked process in which `work` answers requests, one after the other.

    It ends with this process, and at `close`. Raises `MemoryError` where there is no memory for it.
    """

    def __init__(self, work: Callable[[Any], Any]) -> None:
        self._pipe, child_pipe = Pipe()
        previous_mask = signal.pthread_sigmask(signal.SIG_BLOCK, BLOCKED_SIGNALS)
        try:
            self.pid = os.fork()
            if not self.pid:
                _serve(child_pipe, work)
        except OSError as error:
            raise MemoryError("there is no memory for another process") from error
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, previous_mask)
        child_pipe.close()
        self.close = weakref.finalize(self, _end, self._pipe, self.pid, os.getpid())
        """End the process, if it runs; also called when this object is released."""

    def send(self, request: Any) -> None:
        """Start work on a request, which can be pickled. Each request has one answer. Raises as `receive`."""
        try:
            self._pipe.send(request)
        except OSError:
            raise self._lost() from None

    def receive(self) -> Any:
        """Wait for the answer to the last request.

        Raises
        ------
        ShardProcessKilled
            The process was ended by a signal.
        RuntimeError
            It has ended otherwise.
        Exception
            Whatever `work` raised.
        """
        try:
            answer = _receive(self._pipe)
        except (EOFError, OSError):
            raise self._lost() from None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _lost(self) -> Exception:
        number = self.close()
        return ShardProcessKilled(number) if number else RuntimeError("a process that computed a shard has ended")


def _end(pipe: Connection, pid: int, parent_pid: int) -> int:
    """End a shard process, whatever it is doing; return the signal that ended it, or 0 if it exited by itself."""
    pipe.close()
    if os.getpid() != parent_pid:  # another process forked from the parent
        return 0
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


def _serve(pipe: Connection, work: Callable[[Any], Any]) -> NoReturn:
    """Answer requests until the other end is closed, as it is when the parent ends in any way.

    The parent's files and connections are closed here without being used, and no destructor runs that might write to
    them.
    """
    code = 1
    try:
        gc.disable()
        descriptors = {int(file.name) for file in Path("/proc/self/fd").iterdir()}
        for descriptor in descriptors - {0, 1, 2, pipe.fileno()}:
            with suppress(OSError):  # the one that listed them is closed already
                os.close(descriptor)
        with suppress(EOFError, BrokenPipeError, ConnectionResetError):
            while True:
                pipe.send(_answer(work, _receive(pipe)))
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _answer(work: Callable[[Any], Any], request: Any) -> Any:
    """Return the result or the error, with a note of where it was raised; as text where it cannot be pickled."""
    try:
        return work(request)
    except Exception as error:
        error.add_note(traceback.format_exc())
        try:
            ForkingPickler.loads(ForkingPickler.dumps(error))
        except Exception:  # an error's own code runs here and may raise anything
            return RuntimeError(traceback.format_exc())
        return error


def _receive(pipe: Connection) -> Any:
    """Return the next message. Sleeping at once and being woken took a step of LeNet from 3.8 to 4.3 ms."""
    for _ in range(POLLS_BEFORE_SLEEP):
        if pipe.poll():
            break
    return pipe.recv()


def shared_zeros(shape: Shape, dtype: Any) -> Array:
    """Return zeros in memory shared with the processes forked from this one later. Raises `MemoryError`."""
    return lazy_zeros(shape, dtype, ACCESS_WRITE)


def shared_copy(array: Array) -> Array:
    """Return a copy of an array in shared memory. Zeros take no memory before they are written."""
    copy = shared_zeros(array.shape, array.dtype)
    if array.any():
        np.copyto(copy, array)
    return copy


ArrayHeader: TypeAlias = tuple[Shape, str]
"""The shape and the dtype of the array in a shared buffer."""


class SharedBuffer:
    """Shared memory for one array at a time, of up to `capacity` numbers."""

    def __init__(self, capacity: int) -> None:
        self._memory = shared_zeros((capacity,), np.float64)

    def write(self, array: Array) -> ArrayHeader:
        """Copy an array into the buffer; return its header for `read`."""
        header = (array.shape, array.dtype.str)
        np.copyto(self.read(header), array)
        return header

    def read(self, header: ArrayHeader) -> Array:
        """Return a view of the array, valid until the next is written."""
        shape, dtype = header
        return np.ndarray(shape, dtype, self._memory)
