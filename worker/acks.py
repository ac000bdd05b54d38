"""A bell that a worker has taken, and what it means when the broker cannot be told that it was heeded.

Celery logs that and goes on. Its connection then counts the bell as under way for ever and asks for no other one, nor
does it ever see that the broker is gone: on Redis it only reads while it asks.
"""

from collections.abc import Callable
from typing import Any

import structlog
from celery.worker.request import Request
from kombu.asynchronous import get_event_loop

log = structlog.get_logger(__name__)


class TakenNotification(Request):  # type: ignore[misc]  # Celery ships no types
    """A message under way; where its broker is lost before it is settled, the worker connects anew."""

    acknowledged: bool

    def acknowledge(self) -> None:
        """Have the broker forget the bell."""
        self._settle(self._on_ack)

    def reject(self, requeue: bool = False) -> None:
        """Have the broker ring again, where that is asked."""
        self._settle(self._on_reject, requeue)

    def _settle(self, tell: Callable[..., Any], *how: bool) -> None:
        if self.acknowledged:
            return
        self.acknowledged = True
        try:
            tell(log, (), *how)  # of the errors to be logged and passed over there are none
        except self._connection_errors as error:
            log.warning("broker is lost: connecting anew", error=str(error))
            if (loop := get_event_loop()) is not None:
                loop.call_soon(_raise, error)  # out of the loop it ends the connection, as an error of its own does


def _raise(error: Exception) -> None:
    raise error
