"""Run a contestant in a process of its own, so that idle threads of one library do not take cores from the other.

OpenBLAS and OpenMP threads spin for some milliseconds before they sleep.
"""

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

from threadpoolctl import threadpool_limits

from benchmarks.rounds import Contestant

Make = Callable[[], Contestant]
"""Creates the contestant in its process: a module's function with bound arguments (it is pickled)."""


@contextmanager
def apart(make: Make, threads: int) -> Iterator[Contestant]:
    """Yield the contestant that `make` creates; its process ends with the block."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, make, threads), daemon=True)
    process.start()
    here.recv()

    def run(steps: int) -> None:
        here.send(steps)
        here.recv()

    try:
        yield run
    finally:
        here.send(0)
        process.join()


def _serve(asked: Connection, make: Make, threads: int) -> None:
    with threadpool_limits(threads, user_api="blas"):
        contestant = make()
        asked.send(True)
        while steps := asked.recv():
            contestant(steps)
            asked.send(True)
