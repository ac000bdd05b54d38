"""A pipe that a thread writes, so that DuckDB reads what has no file of its own: decompressed, decoded or made text."""

import fcntl
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

PIPE_BYTES = 2**20


@dataclass
class Fed:
    """What a thread writes into a pipe."""

    path: str
    error: BaseException | None = None


@contextmanager
def piped(blocks: Callable[[], Iterable[bytes]]) -> Iterator[str]:
    """Yield the path of a pipe from which one reader gets the blocks. Errors of the blocks are raised at the end.

    They take precedence over those of the reader, which only sees that the blocks end.
    """
    reading, writing = os.pipe()
    with suppress(OSError):  # an administrator may allow less
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    fed = Fed(f"/dev/fd/{reading}")

    def write() -> None:
        try:
            with os.fdopen(writing, "wb", buffering=0) as pipe:
                for block in blocks():
                    _write_all(pipe.fileno(), block)
        except BrokenPipeError:  # the reader has what it needs
            pass
        except BaseException as error:
            fed.error = error

    thread = threading.Thread(target=write, name="pipe", daemon=True)
    thread.start()
    try:
        yield fed.path
    except Exception as error:
        os.close(reading)
        reading = -1
        thread.join()
        raise fed.error or error from None
    finally:
        if reading >= 0:
            os.close(reading)
        thread.join()
    if fed.error is not None:
        raise fed.error


def _write_all(pipe: int, block: bytes) -> None:
    view = memoryview(block)
    while view:
        view = view[os.write(pipe, view) :]
