"""Acknowledgement of a notification whose broker connection was lost meanwhile.

Celery only logs the failed acknowledgement. Its connection then counts the message as unacknowledged for ever, asks
for no other one, and never notices that the broker is gone: on Redis it reads only after it has asked.
"""

from collections.abc import Callable
from typing import Any

import structlog
from celery.worker.request import Request
from kombu.asynchronous import get_event_loop

log = structlog.get_logger(__name__)


class ReceivedNotification(Request):  # type: ignore[misc]  # Celery ships no types
    """A message in progress; if the broker is lost before it is acknowledged, the worker reconnects."""

    acknowledged: bool

    def acknowledge(self) -> None:
        """Acknowledge the message."""
        self._settle(self._on_ack)

    def reject(self, requeue: bool = False) -> None:
        """Reject the message; with `requeue`, the broker delivers it again."""
        self._settle(self._on_reject, requeue)

    def _settle(self, send: Callable[..., Any], *arguments: bool) -> None:
        if self.acknowledged:
            return
        self.acknowledged = True
        try:
            send(log, (), *arguments)  # the empty tuple: no error is only logged
        except self._connection_errors as error:
            log.warning("broker connection lost: reconnecting", error=str(error))
            if (loop := get_event_loop()) is not None:
                loop.call_soon(_raise, error)  # an error raised in the loop makes Celery reconnect


def _raise(error: Exception) -> None:
    raise error
