"""A contestant in a process of its own, so that the idle threads of one library do not spin against the other's.

OpenBLAS and OpenMP threads wait busily for some milliseconds; in one process each would be measured beside the other's.
"""

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

from threadpoolctl import threadpool_limits

from benchmarks.rounds import Contestant

Make = Callable[[], Contestant]
"""Makes the contestant in the process where it runs: a function of a module, with its arguments bound."""


@contextmanager
def apart(make: Make, threads: int) -> Iterator[Contestant]:
    """The contestant that `make` makes, ready; the process ends with the block."""
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
