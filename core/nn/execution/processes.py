"""Processes that help this one with a step: forked from it, so that they know what it knows, and asked through a pipe.

Threads share one interpreter lock, and take turns at it between operations. Where these take some microseconds, two
threads took as long as one: half a batch of LeNet 3.1 ms alone, and 5.3 ms beside the other half.
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

CAN_HELP = sys.platform == "linux"
"""Elsewhere a process whose libraries have threads may not be forked, or no process may."""

LOOKS = 200
"""How often to look whether something has come before to sleep until it does: for some half a millisecond."""

ENDS = frozenset({signal.SIGINT, signal.SIGTERM})
"""Signals that are meant for the process that is helped, although a terminal sends them to both: a helper has them
blocked from the start."""


class ShardProcessLost(Exception):
    """A helper was killed, by the kernel for want of memory or by an operator; `signal` is the signal's number."""

    def __init__(self, number: int) -> None:
        super().__init__(f"a process that helped with a step was ended by signal {number}")
        self.signal = number


class ShardProcess:
    """A process in which `work` answers what is asked, one question after the other.

    It ends with this process, and at `close`. Raises `MemoryError` where there is no room for it.
    """

    def __init__(self, work: Callable[[Any], Any]) -> None:
        self._pipe, there = Pipe()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDS)
        try:
            self.pid = os.fork()
            if not self.pid:
                _serve(there, work)
        except OSError as error:
            raise MemoryError("there is no room for another process") from error
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        there.close()
        self.close = weakref.finalize(self, _end, self._pipe, self.pid, os.getpid())
        """End it, if nothing has; also done when nobody refers to it any more."""

    def ask(self, question: Any) -> None:
        """Let it begin with this, which can be pickled; every question has one answer. Raises as `answer`."""
        try:
            self._pipe.send(question)
        except OSError:
            raise self._lost() from None

    def answer(self) -> Any:
        """Wait for what it made of the question.

        Raises what `work` raised, `ShardProcessLost` if it was killed, and `RuntimeError` if it has ended otherwise.
        """
        try:
            answer = _received(self._pipe)
        except (EOFError, OSError):
            raise self._lost() from None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _lost(self) -> Exception:
        number = self.close()
        return ShardProcessLost(number) if number else RuntimeError("a process that helped with a step has ended")


def _end(pipe: Connection, pid: int, its_parent: int) -> int:
    """Have it end, whatever it is at: nobody wants the answer. Returns the signal that ended it; 0: it ended itself."""
    pipe.close()
    if os.getpid() != its_parent:  # but forked from it
        return 0
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


def _serve(pipe: Connection, work: Callable[[Any], Any]) -> NoReturn:
    """Answer until the other end is closed, as it is when its process ends, however it does.

    None of the other process's files and connections is touched, nor does an object end that could say something
    through them.
    """
    code = 1
    try:
        gc.disable()
        opened = {int(file.name) for file in Path("/proc/self/fd").iterdir()}
        for descriptor in opened - {0, 1, 2, pipe.fileno()}:
            with suppress(OSError):  # that by which they were listed
                os.close(descriptor)
        with suppress(EOFError, BrokenPipeError, ConnectionResetError):
            while True:
                pipe.send(_answer(work, _received(pipe)))
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _answer(work: Callable[[Any], Any], question: Any) -> Any:
    """What comes of it, or the error, with a note of where it was raised; in words where it cannot be sent as it is."""
    try:
        return work(question)
    except Exception as error:
        error.add_note(traceback.format_exc())
        try:
            ForkingPickler.loads(ForkingPickler.dumps(error))
        except Exception:  # an error's own code is called here, and may raise any other
            return RuntimeError(traceback.format_exc())
        return error


def _received(pipe: Connection) -> Any:
    """What comes next. To sleep at once and be woken up took a step of LeNet's 4.3 ms instead of 3.8."""
    for _ in range(LOOKS):
        if pipe.poll():
            break
    return pipe.recv()


def in_common(shape: Shape, dtype: Any) -> Array:
    """Zeros in memory in common to this process and those forked from it later. Raises `MemoryError`."""
    return lazy_zeros(shape, dtype, ACCESS_WRITE)


def shared(array: Array) -> Array:
    """A copy of an array of any shape that is `in_common`. Zeros take no memory until somebody writes them."""
    copy = in_common(array.shape, array.dtype)
    if array.any():
        np.copyto(copy, array)
    return copy


Laid: TypeAlias = tuple[Shape, str]
"""The shape and the type of what lies on a shelf."""


class SharedBuffer:
    """Memory in common that holds one array at a time, of up to so many numbers."""

    def __init__(self, numbers: int) -> None:
        self._memory = in_common((numbers,), np.float64)

    def lay(self, array: Array) -> Laid:
        """Copy it there; returns how to read it."""
        laid = (array.shape, array.dtype.str)
        np.copyto(self.read(laid), array)
        return laid

    def read(self, laid: Laid) -> Array:
        """What lies there, as long as nothing else is laid."""
        shape, kind = laid
        return np.ndarray(shape, kind, self._memory)
