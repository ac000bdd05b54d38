"""A thread of the worker's parent: requeues jobs of lost workers, notifies workers of due jobs, removes garbage.

Any number of parents may do this at once; each statement is safe by itself.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import structlog
from sqlalchemy.orm import Session

from core.blobs.folder import FolderBlobs
from core.queue.notifier import Notifier
from core.settings import Settings
from core.store import garbage, idempotency, leases, versions
from core.store.database import open_database
from core.store.errors import TRANSIENT_STORAGE_ERRORS, WrongRevision
from core.store.tables import Job
from worker.context import process_id
from worker.liveness import LivenessFile
from worker.pool import ChildExits

NOTIFY_AGAIN_SECONDS = 3.0
"""Seconds that due jobs wait before another notification is sent."""
GARBAGE_SECONDS = 30.0
"""Seconds between two collections of files that no row names."""
BUCKET_GARBAGE_SECONDS = 600.0
"""The same for files in a bucket, whose provider charges for each listing."""
IDEMPOTENCY_SECONDS = 86_400.0
"""Seconds for which the answer to an idempotency key is kept."""

FORK_LOCK = threading.Lock()
"""Held while this process has open database connections or talks to the broker; no child is forked meanwhile.

Otherwise the child would inherit SQLite's record that this process holds the write lock, and would find the database
locked for ever; or locks of the broker's library that no thread of the child ever releases.
"""
os.register_at_fork(before=FORK_LOCK.acquire, after_in_parent=FORK_LOCK.release, after_in_child=FORK_LOCK.release)

log = structlog.get_logger(__name__)


class Supervisor:
    """A thread of the worker's parent.

    Parameters
    ----------
    settings
        The service's settings.
    prefix
        The beginning of the names of this parent's children.
    child_exits
        The children that have ended.
    liveness
        The file that health checks read.
    """

    def __init__(self, settings: Settings, prefix: str, child_exits: ChildExits, liveness: LivenessFile) -> None:
        self._interval_seconds = settings.lease_check_seconds
        self._prefix = prefix
        self._child_exits = child_exits
        self._liveness = liveness
        self._notifier = Notifier(settings, broker_lock=FORK_LOCK)
        self._blobs = FolderBlobs(settings.blob_dir) if settings.blobs_url is None else None
        self._bucket_collection: subprocess.Popen[bytes] | None = None
        self._database = open_database(settings.resolved_database_url)
        self._collect_at = 0.0
        self._away = False
        self._open = True
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)

    def start(self) -> None:
        """Supervise until `stop`."""
        self._thread.start()

    def stop(self) -> None:
        """Do one more round, and end. Without `start`, as when the broker was never reached, only end."""
        self._open = False
        self._child_exits.happened.set()
        if self._thread.ident is not None:
            self._thread.join(2 * self._interval_seconds)
        self._notifier.close()
        self._record_stop()
        self._liveness.remove()

    def _record_stop(self) -> None:
        try:
            with self._database.begin() as s:
                versions.record_stop(s, "worker")
        except TRANSIENT_STORAGE_ERRORS as error:
            log.warning("database is away: the end of this worker is not recorded", error=str(error).splitlines()[0])
        self._database.close()

    def _run(self) -> None:
        while self._open:
            self._round()
            self._child_exits.happened.wait(self._interval_seconds)
            self._child_exits.happened.clear()
        self._round()

    def _round(self) -> None:
        self._liveness.touch()
        with FORK_LOCK:
            self._maintain()
            self._database.close()

    def _maintain(self) -> None:
        try:
            if self._requeue_and_collect():
                self._notifier.notify()
            self._away = False
        except TRANSIENT_STORAGE_ERRORS as error:
            if not self._away:
                log.warning("database is away: no job is requeued", error=str(error).splitlines()[0])
            self._away = True
        except Exception:
            log.exception("supervision failed")

    def _requeue_and_collect(self) -> bool:
        """Requeue jobs of lost workers and remove garbage; return whether workers must be notified."""
        with self._database.begin() as s:
            requeued = [self._requeue_if_lost(s, job) for job in leases.claimed_by(s, self._prefix)]
            expired = leases.requeue_expired(s)
            due = leases.notification_due(s, NOTIFY_AGAIN_SECONDS)
            versions.record_alive(s, "worker")
        for job in expired:
            log.warning("job requeued: its worker's lease ran out", job=job.id)
        if time.monotonic() >= self._collect_at:
            self._collect_garbage()
        return due or bool(expired) or any(requeued)

    def _requeue_if_lost(self, s: Session, job: Job) -> bool:
        """Requeue a job whose child process has died; return whether it has."""
        pid = process_id(job.worker or "", self._prefix)
        code = self._child_exits.code(pid)
        if code is None:
            return False
        cause = _describe(code)
        log.warning("worker process died: its job is requeued", job=job.id, pid=pid, cause=cause)
        detail = {"signal": cause} | _memory(code, job)
        message = f"worker {job.worker} died ({cause})"
        return leases.requeue_lost(s, job.id, job.fence, message=message, detail=detail) is not None

    def _collect_garbage(self) -> None:
        """Remove files that no row names, and old answers to idempotency keys."""
        with self._database.begin() as s:
            idempotency.delete_older_than(s, IDEMPOTENCY_SECONDS)
        if self._blobs is not None:
            self._collect_files(self._blobs)
        elif self._bucket_collection is None or self._bucket_collection.poll() is not None:
            # The bucket library survives no fork, and this process forks.
            self._bucket_collection = subprocess.Popen(
                [sys.executable, "-m", "chainrule", "tidy"], stdout=subprocess.DEVNULL
            )
        self._collect_at = time.monotonic() + (GARBAGE_SECONDS if self._blobs else BUCKET_GARBAGE_SECONDS)

    def _collect_files(self, blobs: FolderBlobs) -> None:
        try:
            garbage.collect(self._database, blobs)
        except WrongRevision as error:
            log.warning("files are not collected: another version has migrated the database", error=str(error))


def _describe(code: int) -> str:
    """Return the name of the signal, such as SIGKILL, or the exit code."""
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def _memory(code: int, job: Job) -> dict[str, Any]:
    """Return the memory of the job and of the machine, if the kernel may have killed the process for lack of memory."""
    if code != -signal.SIGKILL:
        return {}
    machine_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {"job_bytes": job.memory_bytes, "machine_bytes": machine_bytes}
