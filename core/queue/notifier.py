"""The bell that wakes a worker: a message without content over Celery, since the job's row says everything.

It is rung from a thread of its own, so that a broker that is away, slow or silent never delays or fails who rings.
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
AT_ONCE = 16
"""Bells owed beyond this many are dropped: each worker that finds a job rings on while others wait."""

log = structlog.get_logger(__name__)


def celery_app(settings: Settings, **transport: object) -> Celery:
    """Celery as this project uses it: one queue, JSON, no results, and no messages about messages."""
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
    """Rings for workers. One per process, made after a fork; safe for threads.

    Parameters
    ----------
    settings
        Say where the broker is.
    patience
        Seconds that one attempt may take, and that lie between two attempts while the broker is away.
    speaking
        Held while the broker is spoken with. In a process that forks beside it no child may be forked then: it would
        have the locks of the broker's library, and of modules that are imported, as they are held, by nobody.
    """

    def __init__(
        self, settings: Settings, patience: float = 1.0, speaking: AbstractContextManager[object] | None = None
    ) -> None:
        self._app = celery_app(
            settings,
            socket_connect_timeout=patience / 2,
            socket_timeout=patience,
            retry_on_timeout=False,
            max_retries=0,
        )
        self._patience = patience
        self._speaking = speaking or nullcontext()
        self._change = threading.Condition()
        self._owed = 0
        self._probes: list[_Probe] = []
        self._away = False
        self._open = True
        self._thread: threading.Thread | None = None
        self._producer: Any = None
        self._retry_at = 0.0

    def notify(self) -> bool:
        """Owe the workers a bell and return at once; False while the broker is known to be away (it is rung later)."""
        with self._change:
            self._owed = min(self._owed + 1, AT_ONCE)
            self._wake()
            return not self._away

    def reachable(self, timeout: float = 2.0) -> bool:
        """Whether the broker answers, asked now and known after at most `timeout` seconds."""
        probe = _Probe()
        with self._change:
            self._probes.append(probe)
            self._wake()
        return probe.answered.wait(timeout) and probe.reached

    def close(self, timeout: float = 1.0) -> None:
        """Ring what is owed, if that can be done within `timeout` seconds, and stop."""
        with self._change:
            self._open = False
            self._change.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join(timeout)

    def _wake(self) -> None:
        """Start the thread where none runs, and tell it; the caller holds the lock."""
        if self._thread is None and self._open:
            self._thread = threading.Thread(target=self._run, name="bell", daemon=True)
            self._thread.start()
        self._change.notify_all()

    def _run(self) -> None:
        while True:
            with self._change:
                self._change.wait_for(self._due, timeout=self._until_retry())
                if not self._open and (self._away or not self._owed):
                    return
                owed = self._owed if monotonic() >= self._retry_at else 0
                probes, self._probes = self._probes, []
            if owed:
                self._settle(owed)
            for probe in probes:
                probe.answer(self._attempt(_ping))

    def _due(self) -> bool:
        return bool(self._probes) or not self._open or (self._owed > 0 and monotonic() >= self._retry_at)

    def _until_retry(self) -> float | None:
        return max(0.0, self._retry_at - monotonic()) if self._owed else None

    def _settle(self, owed: int) -> None:
        """Send the bells that are owed; those that could not be sent are owed as one."""
        sent = self._attempt(lambda producer: self._send(producer, owed))
        with self._change:
            self._owed = self._owed - owed if sent else 1
            self._retry_at = 0.0 if sent else monotonic() + self._patience

    def _send(self, producer: Any, count: int) -> None:
        for _ in range(count):
            self._app.send_task(TASK, producer=producer, retry=False)

    def _attempt(self, act: Callable[[Any], None]) -> bool:
        """Act with the connection at hand, and where that fails (the broker may have restarted) with a new one."""
        for fresh in (False, True) if self._producer else (True,):
            try:
                with self._speaking:
                    act(self._connect() if fresh else self._producer)
            except Exception as error:  # whatever a broker does, the job's row is safe
                failure: Exception | None = error
            else:
                self._say_back()
                return True
        self._say_away(failure)
        return False

    def _connect(self) -> Any:
        """A producer over a new connection; on Redis a ping went over it, a folder was made."""
        if self._producer is not None:
            self._producer, lost = None, self._producer
            lost.connection.release()
        connection = self._app.connection_for_write(connect_timeout=self._patience / 2)
        self._producer = self._app.amqp.Producer(connection, auto_declare=False)
        _ = connection.default_channel
        return self._producer

    def _say_back(self) -> None:
        if self._away:
            log.info("broker is back")
        self._away = False

    def _say_away(self, error: Exception | None) -> None:
        if not self._away:
            log.warning("broker is away: jobs are kept and wait", error=str(error))
        self._away = True


def _ping(producer: Any) -> None:
    """Ask the broker how long the queue is; raises whatever its transport raises where it doesn't answer."""
    producer.connection.default_channel.queue_declare(QUEUE, passive=False)


class _Probe:
    """A question that waits for the bell's thread."""

    def __init__(self) -> None:
        self.answered = threading.Event()
        self.reached = False

    def answer(self, reached: bool) -> None:
        self.reached = reached
        self.answered.set()
