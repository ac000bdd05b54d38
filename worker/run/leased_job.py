"""A job leased to this worker, and the only way to write to it: one guarded transaction for one write batch.

If the answer to a commit is lost, the worker first finds out whether the commit happened, so each batch is written
exactly once.
"""

from time import monotonic

from sqlalchemy.orm import Session

from core.blobs.blobs import Blobs
from core.jobs.states import Request
from core.store import checkpoints, counts, events, leases
from core.store.database import Database
from core.store.guards import FencingToken, GuardedWrite
from core.store.tables import Checkpoint
from worker.run.outcomes import Outcome, apply_request
from worker.run.write_batch import NewCheckpoint, WorkDone, WriteBatch


class LeasedJob:
    """A job leased to this worker. Only one thread at a time may write.

    Parameters
    ----------
    database
        The process's database.
    blobs
        The store of checkpoint files.
    token
        The fencing token that the claim returned.
    worker
        The worker's name, recorded with the work done and with transitions.
    lease_seconds
        Length of the lease, counted from each write.
    """

    def __init__(
        self, database: Database, blobs: Blobs, token: FencingToken, worker: str, lease_seconds: float
    ) -> None:
        self.database = database
        self.worker = worker
        self.lease_seconds = lease_seconds
        self.renewed_at = monotonic()
        self.request: Request | None = None
        """The client's latest known request."""
        self._blobs = blobs
        self._token = token
        self._doubtful: WriteBatch | None = None
        self._outcome: Outcome | None = None

    @property
    def job_id(self) -> str:
        """The job's id."""
        return self._token.job_id

    @property
    def lease_left(self) -> float:
        """The fraction of the lease that certainly remains: 1 after a write, at most 0 if it may have expired."""
        return 1.0 - (monotonic() - self.renewed_at) / self.lease_seconds

    def write(self, batch: WriteBatch) -> Outcome | None:
        """Write a batch in one guarded transaction and return the outcome that was stored, if the batch has one.

        After an error in `TRANSIENT_STORAGE_ERRORS`, call again with the same batch before writing any other.

        Raises
        ------
        Fenced
            The lease belongs to another worker: write nothing more.
        """
        if self._doubtful is not None and self._was_committed(self._doubtful, batch):
            return self._outcome
        asked_at = monotonic()
        self._doubtful, self._outcome = batch, None
        with self.database.begin() as s:
            guarded = self._guard(s, batch)
            self._outcome = self._apply(s, guarded, batch)
        self._advance(guarded.token, asked_at)
        self.request = guarded.request
        return self._outcome

    def renew(self) -> None:
        """Renew the lease on a separate connection; safe beside `write`.

        Raises
        ------
        Fenced
            The lease belongs to another worker.
        """
        asked_at = monotonic()
        with self.database.begin() as s:
            request = leases.renew(s, self._token, self.lease_seconds)
        self.renewed_at = max(self.renewed_at, asked_at)
        self.request = request or self.request

    def _guard(self, s: Session, batch: WriteBatch) -> GuardedWrite:
        return leases.guard(
            s,
            self._token,
            lease_seconds=self.lease_seconds,
            events=len(batch.rows) + len(batch.logs),
            recorded=len(batch.rows),
            **batch.columns,
        )

    def _apply(self, s: Session, guarded: GuardedWrite, batch: WriteBatch) -> Outcome | None:
        """Write the batch behind the guard; return the stored outcome."""
        token = guarded.token
        events.append(s, guarded, batch.rows, logs=batch.logs)
        if batch.work_done.steps:
            self._count(s, batch.work_done)
        if batch.note is not None:
            leases.record_message(s, token, batch.note, self.worker)
        if batch.damaged is not None:
            self._discard(s, token, batch.damaged)
        if batch.checkpoint is not None:
            self._record(s, token, batch.checkpoint)
            checkpoints.prune(s, token.job_id, batch.checkpoint.keep)  # before the end, which counts what is left
        outcome = None
        if batch.outcome is not None:
            outcome = apply_request(batch.outcome, guarded.request)
            self._leave(s, token, outcome)
        return outcome

    def _count(self, s: Session, done: WorkDone) -> None:
        counts.add(s, self.worker, steps=done.steps, samples=done.samples, train_seconds=done.seconds)

    def _discard(self, s: Session, token: FencingToken, damaged: Checkpoint) -> None:
        previous = checkpoints.discard(s, token, damaged.id)
        resumption = f"resuming from step {previous.step}" if previous else "starting from the beginning"
        message = f"the checkpoint of step {damaged.step} is damaged or missing: {resumption}"
        leases.record_message(s, token, message, self.worker)

    def _record(self, s: Session, token: FencingToken, checkpoint: NewCheckpoint) -> None:
        self._blobs.ensure(checkpoint.sha256, checkpoint.data)  # the database may have been away for long
        checkpoints.record(
            s,
            token,
            step=checkpoint.step,
            epoch=checkpoint.epoch,
            sha256=checkpoint.sha256,
            bytes=len(checkpoint.data),
            weights_sha256=checkpoint.weights_sha256,
            metrics=checkpoint.metrics,
            reason=checkpoint.reason,
        )

    def _leave(self, s: Session, token: FencingToken, outcome: Outcome) -> None:
        leases.release(
            s,
            token,
            outcome.status,
            message=outcome.message,
            actor=self.worker,
            stop_reason=outcome.stop_reason,
            error=dict(outcome.error) if outcome.error else None,
        )

    def _was_committed(self, doubtful: WriteBatch, batch: WriteBatch) -> bool:
        """Return whether the doubtful batch was committed; it must be the one that is written again."""
        if doubtful is not batch:
            raise AssertionError("a batch whose commit is in doubt must be written again before any other")
        asked_at = monotonic()
        with self.database.read() as s:
            token = leases.resolve_commit(s, self._token)
        if token is None:
            return False
        self._advance(token, asked_at)
        return True

    def _advance(self, token: FencingToken, asked_at: float) -> None:
        self._token = token
        self._doubtful = None
        self.renewed_at = max(self.renewed_at, asked_at)
