"""A job that this worker holds, and the only way to write to it: one guarded transaction for one portion.

A commit whose answer was lost is settled before anything else is written, so that each portion counts once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from sqlalchemy.exc import InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnection
from sqlalchemy.orm import Session

from core.blobs.folder import BlobsAway
from core.jobs.cadence import Row
from core.jobs.states import Request
from core.store import counts, events, leases
from core.store.database import Database
from core.store.events import LogRow
from core.store.guards import FencingToken, GuardedWrite

AWAY = (OperationalError, InterfaceError, InternalError, NoConnection, BlobsAway)
"""What a database or a bucket that is away, busy or restarting raises; whether a transaction counted is unknown then.

Postgres calls it an internal error where it ended a session that was idle in a transaction, as of a worker that slept.
"""

Then = Callable[[Session, GuardedWrite], None]


@dataclass(frozen=True)
class Work:
    """What was trained between two writes."""

    steps: int = 0
    samples: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, eq=False)
class WriteBatch:
    """What one transaction writes. It stays as it is until its fate is known."""

    rows: Sequence[Row] = ()
    """Of the training's own deterministic stream."""
    logs: Sequence[LogRow] = ()
    columns: dict[str, Any] = field(default_factory=dict)
    work: Work = Work()
    then: Then | None = None
    """Done last in the same transaction; may be called again where that was rolled back."""


class LeasedJob:
    """Who holds a job and since when its lease runs. One thread at a time may write.

    Parameters
    ----------
    sessions
        This process's door to the database.
    hold
        What shows that the job is this worker's.
    worker
        The name under which work is counted.
    lease_seconds
        How long the job stays this worker's after each write.
    """

    def __init__(self, database: Database, token: FencingToken, worker: str, lease_seconds: float) -> None:
        self.database = database
        self.worker = worker
        self.lease_seconds = lease_seconds
        self.renewed_at = monotonic()
        self.request: Request | None = None
        """What is wanted of the run, as last heard."""
        self._token = token
        self._doubtful: WriteBatch | None = None

    @property
    def job_id(self) -> str:
        """The job."""
        return self._token.job_id

    @property
    def lease_left(self) -> float:
        """The part of the lease that is left for sure: 1 just after a write, 0 or less where it may have run out."""
        return 1.0 - (monotonic() - self.renewed_at) / self.lease_seconds

    def write(self, write_batch: WriteBatch) -> None:
        """Write a portion. After one of `AWAY`, call again with the same portion before any other.

        Raises
        ------
        Fenced
            the job is no longer this worker's: write nothing more.
        """
        if self._doubtful is not None and self._settled(self._doubtful, write_batch):
            return
        asked_at = monotonic()
        self._doubtful = write_batch
        with self.database.begin() as s:
            guarded = leases.guard(
                s,
                self._token,
                lease_seconds=self.lease_seconds,
                events=len(write_batch.rows) + len(write_batch.logs),
                recorded=len(write_batch.rows),
                **write_batch.columns,
            )
            events.append(s, guarded, write_batch.rows, logs=write_batch.logs)
            if write_batch.work.steps:
                counts.add(
                    s,
                    self.worker,
                    steps=write_batch.work.steps,
                    samples=write_batch.work.samples,
                    train_seconds=write_batch.work.seconds,
                )
            if write_batch.then is not None:
                write_batch.then(s, guarded)
        self._went_on(guarded.token, asked_at)
        self.request = guarded.request

    def renew(self) -> None:
        """Make the lease whole again, on a connection of its own; safe beside `write`. Raises `Fenced`."""
        asked_at = monotonic()
        with self.database.begin() as s:
            request = leases.renew(s, self._token, self.lease_seconds)
        self.renewed_at = max(self.renewed_at, asked_at)
        self.request = request or self.request

    def _settled(self, doubtful: WriteBatch, write_batch: WriteBatch) -> bool:
        """Find out whether the doubtful portion was written; True where that answers for `write_batch`."""
        if doubtful is not write_batch:
            raise AssertionError("a portion in doubt comes before any other")
        asked_at = monotonic()
        with self.database.read() as s:
            token = leases.settle(s, self._token)
        if token is None:
            return False
        self._went_on(token, asked_at)
        return True

    def _went_on(self, token: FencingToken, asked_at: float) -> None:
        self._token = token
        self._doubtful = None
        self.renewed_at = max(self.renewed_at, asked_at)
