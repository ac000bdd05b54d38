"""Readiness: whether the database and the stored files can be read and written, and whether the broker answers."""

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout

import structlog
from sqlalchemy.exc import SQLAlchemyError

from core.blobs.blobs import Blobs
from core.blobs.errors import DISK_FULL_ERRNOS, READ_ONLY_ERRNOS, BlobStoreUnavailable
from core.queue.notifier import Notifier
from core.store.database import Database
from core.store.errors import WrongRevision, storage_is_full, storage_is_read_only
from core.store.migrate import require_head
from core.store.writable import check_writable

PROBE_SECONDS = 3.0
"""Seconds between two probes of a part; its last result answers every question in between."""
ANSWER_SECONDS = 2.0
"""Seconds for all probes together; a part that takes longer is away."""
REQUIRED = ("database", "blobs")
"""The parts without which the service is not ready. Without the broker, jobs are accepted and stay queued."""

log = structlog.get_logger("api")

Status = Mapping[str, str]
OK: Status = {"status": "ok"}
AWAY: Status = {"status": "away"}
READ_ONLY: Status = {"status": "read_only"}
FULL: Status = {"status": "full"}


class Probe:
    """A check that runs in a thread of its own, at most every `seconds` and never twice at a time."""

    def __init__(self, check: Callable[[], Status], seconds: float) -> None:
        self._check = check
        self._seconds = seconds
        self._lock = threading.Lock()
        self._last: Future[Status] | None = None
        self._due = 0.0

    def start(self) -> "Future[Status]":
        """Return the last result, or that of a new run where the last is too old."""
        with self._lock:
            if self._last is None or (self._last.done() and time.monotonic() >= self._due):
                self._due = time.monotonic() + self._seconds
                self._last = Future()
                threading.Thread(target=self._run, args=[self._last], name="readiness", daemon=True).start()
            return self._last

    def _run(self, result: "Future[Status]") -> None:
        try:
            result.set_result(self._check())
        except Exception as error:
            log.warning("a readiness check failed", reason=repr(error))
            result.set_result(AWAY)


class Readiness:
    """The probes of the service's parts."""

    def __init__(self, database: Database, blobs: Blobs, notifier: Notifier) -> None:
        self._probes = {
            "database": Probe(lambda: database_status(database), PROBE_SECONDS),
            "blobs": Probe(lambda: blobs_status(blobs), blobs.probe_seconds),
            "broker": Probe(lambda: OK if notifier.reachable(ANSWER_SECONDS) else AWAY, PROBE_SECONDS),
        }

    def report(self) -> tuple[bool, dict[str, Status]]:
        """Return whether the service is ready, and the status of each part; within `ANSWER_SECONDS`."""
        until = time.monotonic() + ANSWER_SECONDS
        results = {name: probe.start() for name, probe in self._probes.items()}
        parts = {name: _result(result, until - time.monotonic()) for name, result in results.items()}
        return all(parts[name] == OK for name in REQUIRED), parts


def _result(result: "Future[Status]", seconds: float) -> Status:
    try:
        return result.result(max(0.0, seconds))
    except FutureTimeout:
        return AWAY


def database_status(database: Database) -> Status:
    """Return whether the database answers, is at this program's migration, and can be written."""
    try:
        require_head(database.engine)
        check_writable(database)
    except WrongRevision as error:
        return {"status": "wrong_revision", "detail": str(error)}
    except SQLAlchemyError as error:
        if storage_is_full(error):
            return FULL
        return READ_ONLY if storage_is_read_only(error) else AWAY
    return OK


def blobs_status(blobs: Blobs) -> Status:
    """Return whether files can be stored."""
    try:
        blobs.check_writable()
    except BlobStoreUnavailable as error:
        log.warning("the bucket refuses a file", reason=str(error))
        return AWAY
    except OSError as error:
        if error.errno in DISK_FULL_ERRNOS:
            return FULL
        return READ_ONLY if error.errno in READ_ONLY_ERRNOS else AWAY
    return OK
