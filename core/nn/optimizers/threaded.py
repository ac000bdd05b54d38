"""A step of many weights by several threads, each with a share of them.

It is the step of one to the last bit: only what changes each weight by its own numbers alone is shared out.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextvars import copy_context
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any

from numpy.typing import DTypeLike

from core.nn.arena import Arena, Run
from core.nn.arrays import Array
from core.nn.optimizers.slots import Slots
from core.nn.optimizers.wrappers import Optimizer

WORTH = 1 << 18
"""Weights that are worth a thread, which is woken up and waits now and then for the interpreter's lock."""


def threads_worth(parameters: int, threads: int) -> int:
    """By how many of the threads to take a step of so many weights."""
    return max(1, min(threads, parameters // WORTH))


class Threaded:
    """Takes an optimizer's steps by so many `threads`, of which this is one, where the optimizer is elementwise.

    Of one that stands around another the innermost is shared out.
    """

    def __init__(self, optimizer: Optimizer, threads: int, dtype: DTypeLike) -> None:
        self._pool = ThreadPoolExecutor(threads - 1)
        self._optimizer = _shared_out(optimizer, self._pool, [Arena(dtype) for _ in range(threads - 1)])

    def update(self, weights: Array, gradient: Array, slots: Slots, step: int, rate: float, run: Run) -> None:
        """As the optimizer's."""
        self._optimizer.update(weights, gradient, slots, step, rate, run)

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()


def _shared_out(optimizer: Any, pool: ThreadPoolExecutor, arenas: Sequence[Arena]) -> Any:
    if (inner := getattr(optimizer, "optimizer", None)) is not None:
        return replace(optimizer, optimizer=_shared_out(inner, pool, arenas))
    return _Shares(optimizer, pool, arenas) if getattr(optimizer, "elementwise", True) else optimizer


@dataclass(frozen=True, slots=True)
class _Shares:
    """What steps in the place of an elementwise optimizer."""

    optimizer: Optimizer
    pool: ThreadPoolExecutor
    arenas: Sequence[Arena]
    """Of the other threads, one each; this one takes its scratch from the step's."""

    def update(self, weights: Array, gradient: Array, slots: Slots, step: int, rate: float, run: Run) -> None:
        def update(share: slice, run: Run) -> None:
            some = {name: slot[share] for name, slot in slots.items()}
            self.optimizer.update(weights[share], gradient[share], some, step, rate, run)

        runs = [run, *(Run(arena, training=True) for arena in self.arenas)]
        edges = [len(weights) * share // len(runs) for share in range(len(runs) + 1)]
        first, *others = zip((slice(*pair) for pair in pairwise(edges)), runs, strict=True)
        # A thread has NumPy's `errstate` from its context.
        begun = [self.pool.submit(copy_context().run, partial(update, *other)) for other in others]
        try:
            update(*first)
        finally:
            wait(begun)
        for one, arena in zip(begun, self.arenas, strict=True):
            one.result()
            arena.rewind()
