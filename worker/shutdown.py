"""A request that the worker shuts down: one byte shared with the forked children, and a flag of each child's own."""

import mmap
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class ShutdownRequest:
    """A request that the parent makes once and every child sees, without the database and without a message."""

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, 1)
        self._own = False

    def ask(self) -> None:
        """Ask this process and its children to claim nothing more and requeue their jobs; safe in a signal handler."""
        self._shared[0] = 1

    @property
    def asked(self) -> bool:
        """Whether this process must shut down."""
        return self._own or self._shared[0] == 1

    @contextmanager
    def on_sigterm(self) -> Iterator[None]:
        """Treat a SIGTERM that this child receives during the block as a request to itself."""
        before = signal.signal(signal.SIGTERM, self._on_signal)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)
            self._own = False

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._own = True
