"""Notify workers that there is work: a Celery message without content, since the job's row says everything.

A thread of its own sends it, so that a broker that is unreachable, slow or silent never delays or fails the caller.
"""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from time import monotonic
from typing import Any

import structlog
from celery import Celery
from kombu import Queue

from core.queue.filesystem import folder_options
from core.settings import Settings

QUEUE = "chainrule"
TASK = "chainrule.work"
MAX_PENDING = 16
"""Notifications pending beyond this number are dropped: a worker that claims a job notifies again while others wait."""

log = structlog.get_logger(__name__)


def celery_app(settings: Settings, **transport: object) -> Celery:
    """Return the Celery app: one queue, JSON, no results, no events of tasks."""
    url, options = settings.resolved_broker_url, {"visibility_timeout": 3600, **transport}
    if url.startswith("filesystem:"):
        url, options = "filesystem://localhost", folder_options(settings.data_dir / "broker")
    app = Celery("chainrule", broker=url, set_as_current=False, fixups=[])
    app.conf.update(
        accept_content=["json"],
        broker_connection_max_retries=None,
        broker_connection_retry_on_startup=True,
        broker_transport_options=options,
        result_backend=None,
        task_acks_late=True,
        task_create_missing_queues=False,
        task_default_queue=QUEUE,
        task_ignore_result=True,
        task_queues=[Queue(QUEUE, routing_key=QUEUE)],
        task_reject_on_worker_lost=True,
        task_serializer="json",
        task_track_started=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_prefetch_multiplier=1,
    )
    return app


class Notifier:
    """Sends notifications. One per process, made after a fork; safe for threads.

    Parameters
    ----------
    settings
        Name the broker.
    timeout_seconds
        Limit of one attempt, and pause between two attempts while the broker is unreachable.
    broker_lock
        Held during calls of the broker's library. In a process that forks, no child may be forked meanwhile: it would
        inherit the library's locks, and those of modules being imported, with nobody to release them.
    """

    def __init__(
        self,
        settings: Settings,
        timeout_seconds: float = 1.0,
        broker_lock: AbstractContextManager[object] | None = None,
    ) -> None:
        self._app = celery_app(
            settings,
            socket_connect_timeout=timeout_seconds / 2,
            socket_timeout=timeout_seconds,
            retry_on_timeout=False,
            max_retries=0,
        )
        self._timeout_seconds = timeout_seconds
        self._broker_lock = broker_lock or nullcontext()
        self._changed = threading.Condition()
        self._pending = 0
        self._pings: list[_Ping] = []
        self._unreachable = False
        self._open = True
        self._thread: threading.Thread | None = None
        self._producer: Any = None
        self._retry_at = 0.0

    def notify(self) -> bool:
        """Schedule a notification and return at once; False if the broker is known to be unreachable (sent later)."""
        with self._changed:
            self._pending = min(self._pending + 1, MAX_PENDING)
            self._wake()
            return not self._unreachable

    def reachable(self, timeout: float = 2.0) -> bool:
        """Ask the broker and return whether it answers within `timeout` seconds."""
        ping = _Ping()
        with self._changed:
            self._pings.append(ping)
            self._wake()
        return ping.done.wait(timeout) and ping.answered

    def close(self, timeout: float = 1.0) -> None:
        """Send what is pending, if that is possible within `timeout` seconds, and stop."""
        with self._changed:
            self._open = False
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join(timeout)

    def _wake(self) -> None:
        """Start the thread if there is none, and wake it; the caller holds the lock."""
        if self._thread is None and self._open:
            self._thread = threading.Thread(target=self._run, name="notifier", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(self._has_work, timeout=self._seconds_until_retry())
                if not self._open and (self._unreachable or not self._pending):
                    return
                count = self._pending if monotonic() >= self._retry_at else 0
                pings, self._pings = self._pings, []
            if count:
                self._send_pending(count)
            for ping in pings:
                ping.finish(answered=self._attempt(_declare_queue))

    def _has_work(self) -> bool:
        return bool(self._pings) or not self._open or (self._pending > 0 and monotonic() >= self._retry_at)

    def _seconds_until_retry(self) -> float | None:
        return max(0.0, self._retry_at - monotonic()) if self._pending else None

    def _send_pending(self, count: int) -> None:
        """Send `count` notifications; if that fails, one stays pending."""
        sent = self._attempt(lambda producer: self._send(producer, count))
        with self._changed:
            self._pending = self._pending - count if sent else 1
            self._retry_at = 0.0 if sent else monotonic() + self._timeout_seconds

    def _send(self, producer: Any, count: int) -> None:
        for _ in range(count):
            self._app.send_task(TASK, producer=producer, retry=False)

    def _attempt(self, act: Callable[[Any], None]) -> bool:
        """Act with the present connection; if that fails (the broker may have restarted), with a new one."""
        for new in (False, True) if self._producer else (True,):
            try:
                with self._broker_lock:
                    act(self._connect() if new else self._producer)
            except Exception as error:  # whatever a broker does, the job's row is safe
                failure: Exception | None = error
            else:
                self._log_reachable()
                return True
        self._log_unreachable(failure)
        return False

    def _connect(self) -> Any:
        """Return a producer over a new connection, which has been used: a ping on Redis, a folder made otherwise."""
        if self._producer is not None:
            self._producer, lost = None, self._producer
            lost.connection.release()
        connection = self._app.connection_for_write(connect_timeout=self._timeout_seconds / 2)
        self._producer = self._app.amqp.Producer(connection, auto_declare=False)
        _ = connection.default_channel
        return self._producer

    def _log_reachable(self) -> None:
        if self._unreachable:
            log.info("broker is reachable again")
        self._unreachable = False

    def _log_unreachable(self, error: Exception | None) -> None:
        if not self._unreachable:
            log.warning("broker is unreachable: jobs stay queued", error=str(error))
        self._unreachable = True


def _declare_queue(producer: Any) -> None:
    """Declare the queue, which needs an answer of the broker; raises what its transport raises without one."""
    producer.connection.default_channel.queue_declare(QUEUE, passive=False)


class _Ping:
    """A question to the broker that waits for the notifier's thread."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self.answered = False

    def finish(self, *, answered: bool) -> None:
        self.answered = answered
        self.done.set()
