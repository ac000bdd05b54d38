"""Whether this worker was asked to end.

One byte shared with the children it forks, and a flag of each child's own.
"""

import mmap
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class ShutdownRequest:
    """A wish that the parent voices once and every child sees, without the database and without a message."""

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, 1)
        self._own = False

    def ask(self) -> None:
        """Ask this process and all its children to hand back what they hold. Safe in a signal handler."""
        self._shared[0] = 1

    @property
    def asked(self) -> bool:
        """Whether to claim nothing more and to hand back what is held."""
        return self._own or self._shared[0] == 1

    @contextmanager
    def by_signal(self) -> Iterator[None]:
        """Let a SIGTERM that reaches this child itself be such a wish, for this block."""
        before = signal.signal(signal.SIGTERM, self._on_signal)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)
            self._own = False

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._own = True
