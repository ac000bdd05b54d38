"""What a worker's parent does beside its children: gives back the jobs of those that died, and looks after the queue.

Any number of parents may sweep at once; each statement is safe by itself.
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
from core.store import garbage, idempotency, leases
from core.store.database import open_database
from core.store.tables import Job
from worker.context import pid_in
from worker.liveness import LivenessFile
from worker.pool import LostChildren
from worker.run.leased_job import AWAY

NOTIFY_AGAIN_SECONDS = 3.0
"""Seconds that due jobs wait before somebody rings again."""
HOUSEKEEPING = 30.0
"""Seconds between two looks for files that nothing needs."""
BUCKET_HOUSEKEEPING = 600.0
"""The same where they are in a bucket, whose provider counts each look."""
DAY = 86_400.0

UNFORKED = threading.Lock()
"""Held while this process has connections to the database open, or speaks with the broker. A child that is forked
meanwhile would inherit SQLite's note that somebody here holds the write lock, and would find the database locked for
ever; or locks of the broker's library that no thread of its own will ever open."""
os.register_at_fork(before=UNFORKED.acquire, after_in_parent=UNFORKED.release, after_in_child=UNFORKED.release)

log = structlog.get_logger(__name__)


class Supervisor:
    """A thread of the worker's parent.

    Parameters
    ----------
    settings
        Say where things are and how often to look.
    prefix
        With what the names of this parent's children begin.
    deaths
        Which of them have died.
    pulse
        What health checks look at.
    """

    def __init__(self, settings: Settings, prefix: str, lost_children: LostChildren, liveness: LivenessFile) -> None:
        self._every = settings.lease_check_seconds
        self._prefix = prefix
        self._lost_children = lost_children
        self._liveness = liveness
        self._notifier = Notifier(settings, speaking=UNFORKED)
        self._blobs = FolderBlobs(settings.blob_dir) if settings.blobs_url is None else None
        self._tidying: subprocess.Popen[bytes] | None = None
        self._database = open_database(settings.resolved_database_url)
        self._tidy_at = 0.0
        self._away = False
        self._open = True
        self._thread = threading.Thread(target=self._run, name="sweep", daemon=True)

    def start(self) -> None:
        """Sweep until `stop`."""
        self._thread.start()

    def stop(self) -> None:
        """Sweep once more, and end. One that was not started, as its worker never reached the broker, only ends."""
        self._open = False
        self._lost_children.happened.set()
        if self._thread.ident is not None:
            self._thread.join(2 * self._every)
        self._notifier.close()
        self._liveness.stop()

    def _run(self) -> None:
        while self._open:
            self._round()
            self._lost_children.happened.wait(self._every)
            self._lost_children.happened.clear()
        self._round()

    def _round(self) -> None:
        self._liveness.beat()
        with UNFORKED:
            self._look_after()
            self._database.close()

    def _look_after(self) -> None:
        try:
            if self._sweep():
                self._notifier.notify()
            self._away = False
        except AWAY as error:
            if not self._away:
                log.warning("database is away: nothing can be swept", error=str(error).splitlines()[0])
            self._away = True
        except Exception:
            log.exception("sweep failed")

    def _sweep(self) -> bool:
        """Give back what is lost; whether to ring."""
        with self._database.begin() as s:
            given_back = [self._hand_back(s, job) for job in leases.claimed_by(s, self._prefix)]
            swept = leases.requeue_expired(s)
            due = leases.notification_due(s, NOTIFY_AGAIN_SECONDS)
        for job in swept:
            log.warning("job's worker was silent for longer than its lease", job=job.id)
        if time.monotonic() >= self._tidy_at:
            self._tidy()
        return due or bool(swept) or any(given_back)

    def _hand_back(self, s: Session, job: Job) -> bool:
        """Give back a job whose child is dead; the rest are left alone."""
        pid = pid_in(job.worker or "", self._prefix)
        code = self._lost_children.code(pid)
        if code is None:
            return False
        log.warning("worker died", job=job.id, pid=pid, how=_how(code))
        detail = {"signal": _how(code)} | _memory(code, job)
        message = f"worker {job.worker} died ({_how(code)})"
        return leases.hand_back(s, job.id, job.fence, message=message, detail=detail) is not None

    def _tidy(self) -> None:
        """Remove files that no row names, and answers that nobody will ask for again."""
        with self._database.begin() as s:
            idempotency.forget(s, DAY)
        if self._blobs is not None:
            garbage.collect(self._database, self._blobs)
        elif self._tidying is None or self._tidying.poll() is not None:
            # What speaks with buckets survives no fork, and this process forks.
            self._tidying = subprocess.Popen([sys.executable, "-m", "chainrule", "tidy"], stdout=subprocess.DEVNULL)
        self._tidy_at = time.monotonic() + (HOUSEKEEPING if self._blobs else BUCKET_HOUSEKEEPING)


def _how(code: int) -> str:
    """SIGKILL, or the exit code."""
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def _memory(code: int, job: Job) -> dict[str, Any]:
    """What the job needs and what the machine has, where the kernel may have killed for want of it."""
    if code != -signal.SIGKILL:
        return {}
    return {"job_bytes": job.memory_bytes, "machine_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")}
