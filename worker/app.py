"""The worker as a process: Celery's consumer with a few forked children, and a supervisor thread.

On SIGTERM it claims nothing more, its children checkpoint and requeue their jobs, and it exits with 0. A worker whose
child does not end in time exits with 1: the kernel kills the child, and the lease of its job expires.
"""

import os
import secrets
import signal
import socket
import threading
import warnings
from types import FrameType

import structlog
from celery import Celery, signals
from celery.exceptions import SecurityWarning
from celery.worker import state

from core.queue.notifier import TASK, celery_app
from core.settings import Settings
from core.store.database import open_database
from core.store.migrate import require_head
from core.store.versions import start
from worker.acks import ReceivedNotification
from worker.claim_loop import run_queued_jobs
from worker.context import WorkerContext
from worker.liveness import LivenessFile, liveness_folder
from worker.pool import TrainingPool
from worker.shutdown import ShutdownRequest
from worker.supervisor import Supervisor

LOST_CHILD_SECONDS = 0.2
"""Seconds after a child's death until its slot and its notification are free again (Celery waits 10)."""

BROKER_TIMEOUT_SECONDS = 5
"""Seconds without an answer of the broker after which the worker reconnects.

A firewall may have dropped the connection without a sign (kombu waits for ever, or 50 s).
"""

log = structlog.get_logger(__name__)


def serve(settings: Settings) -> int:
    """Run a worker until it is asked to end; return the exit code.

    Raises
    ------
    WrongRevision, OlderVersion
        The database is at another migration, or a newer version has used it.
    """
    _require_database(settings)
    prefix = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}:"
    stop = ShutdownRequest()
    app = _app(settings, prefix, stop)
    supervisor = Supervisor(
        settings, prefix, TrainingPool.child_exits, LivenessFile(liveness_folder(settings.data_dir))
    )

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        if stop.asked:
            os._exit(1)  # a second signal: the kernel kills the children with their parent
        stop.ask()
        state.should_stop = os.EX_OK
        deadline = threading.Timer(settings.shutdown_seconds, _exit_late)
        deadline.daemon = True
        deadline.start()

    def on_ready(**_: object) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, on_signal)
        supervisor.start()
        log.info("worker is ready", children=settings.workers)
        log.debug("broker", address=app.connection().as_uri())

    signals.worker_ready.connect(on_ready, weak=False)
    # Celery warns about root because of pickle; here messages are JSON, and their content is not read.
    warnings.filterwarnings("ignore", category=SecurityWarning)
    worker = app.Worker(
        concurrency=settings.workers,
        pool=TrainingPool,
        without_gossip=True,
        without_heartbeat=True,
        without_mingle=True,
        quiet=True,
    )
    worker.start()
    supervisor.stop()
    log.info("worker has ended")
    return int(worker.exitcode or 0)


def _exit_late() -> None:
    log.error("a child does not end: the worker exits without it")
    os._exit(1)


def _require_database(settings: Settings) -> None:
    database = open_database(settings.resolved_database_url)
    try:
        require_head(database.engine)
        start(database, "worker", allow_older=settings.allow_older)
    finally:
        database.close()


def _app(settings: Settings, prefix: str, stop: ShutdownRequest) -> Celery:
    """Return Celery with its one task, which runs with the context that each child opens after its fork."""
    app = celery_app(
        settings,
        health_check_interval=BROKER_TIMEOUT_SECONDS,
        socket_connect_timeout=BROKER_TIMEOUT_SECONDS,
        socket_keepalive=True,
        socket_timeout=BROKER_TIMEOUT_SECONDS,
    )
    app.conf.update(
        worker_enable_remote_control=False,
        worker_hijack_root_logger=False,
        worker_lost_wait=LOST_CHILD_SECONDS,
        worker_redirect_stdouts=False,
        worker_send_task_events=False,
        worker_soft_shutdown_timeout=5.0,
    )
    contexts: list[WorkerContext] = []

    def open_context(**_: object) -> None:
        # A process manager may signal the whole group. A child that died of it could keep a lock of the pool's queues,
        # and its parent would wait for that lock for ever: children end when the parent closes the queue.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        contexts[:] = [WorkerContext.open(settings, prefix, stop)]

    @app.task(name=TASK, Request=ReceivedNotification)  # type: ignore[untyped-decorator]  # Celery ships no types
    def chainrule_work() -> None:
        run_queued_jobs(contexts[0])

    signals.worker_process_init.connect(open_context, weak=False)
    signals.setup_logging.connect(lambda **_: None, weak=False)  # keep our own set-up
    return app
