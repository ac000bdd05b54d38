"""A run's checkpoints: when one is due, how it is written, and which one to go on from.

The file comes first, then one guarded transaction records it with all rows up to it: no row is without its file.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any

import structlog
from sqlalchemy.orm import Session

from core.blobs.folder import Blobs, BlobsAway, DamagedBlob, NoSuchBlob
from core.models.checkpoint import CheckpointData, DamagedCheckpoint, decode, encode, weights_sha256
from core.nn.step.state import State
from core.store import checkpoints, leases
from core.store.checkpoints import CONTINUE, START
from core.store.events import LogRow
from core.store.guards import GuardedWrite
from core.store.tables import Checkpoint
from worker.run.leased_job import Then
from worker.run.writer import Writer

AT_EPOCHS = 1.0
"""Seconds of training before the end of an epoch is worth a checkpoint."""
AT_STEPS = 30.0
"""Seconds of training after which any step is."""
SPACING = 50
"""Checkpoints lie at least this many times their own cost apart: they take under 2 % of a run."""

log = structlog.get_logger(__name__)


class DamagedOrigin(Exception):
    """The checkpoint of the other job with which this one begins is damaged or missing: choose another."""


@dataclass(frozen=True, eq=False)
class Found:
    """A checkpoint to begin with, and why it was written."""

    saved: CheckpointData
    reason: str

    @property
    def emitted(self) -> int:
        """How many rows this job had emitted by then."""
        return 0 if self.reason in {START, CONTINUE} else int(self.saved.run_info["emitted"])


class Checkpointer:
    """The checkpoints of one run.

    Parameters
    ----------
    blobs
        Where the files are kept.
    writer
        Writes the rows.
    model
        What a prediction needs beside the weights, kept in each file.
    kernels
        The BLAS libraries in use, kept in each file and compared when going on.
    kept
        How many checkpoints stay.
    """

    def __init__(
        self, blobs: Blobs, writer: Writer, model: Mapping[str, Any], kernels: list[dict[str, Any]], kept: int
    ) -> None:
        self.wants_epoch = False
        """Whether the end of the next epoch is to be seen."""
        self._blobs = blobs
        self._writer = writer
        self._model = model
        self._kernels = kernels
        self._kept = kept
        self._space(0.0)

    @property
    def due_at(self) -> float:
        """The moment (monotonic) at which attention is needed next."""
        return self._step_at if self.wants_epoch else self._epoch_at

    def latest(self) -> Found | None:
        """What to go on from: the newest checkpoint that is whole, another job's, or None to start anew.

        Raises
        ------
        DamagedOrigin
            it begins with another job's, which cannot be read.
        """
        job_id = self._writer.leased_job.job_id
        found = self._writer.patiently(lambda: self._newest(job_id))
        while found is not None:
            try:
                saved = self._read(found)
            except (DamagedBlob, NoSuchBlob, DamagedCheckpoint) as error:
                found = self._pass_over(found, error)
            else:
                self._compare_kernels(saved)
                return Found(saved, found.reason)
        return self._start(job_id)

    def _start(self, job_id: str) -> Found | None:
        """The other job's checkpoint whose weights this job begins with, if it does."""
        row = self._writer.patiently(lambda: self._start_of(job_id))
        if row is None:
            return None
        try:
            return Found(self._read(row), row.reason)
        except (DamagedBlob, NoSuchBlob, DamagedCheckpoint) as error:
            raise DamagedOrigin(DamagedOrigin.__doc__) from error

    def _read(self, row: Checkpoint) -> CheckpointData:
        return decode(self._writer.patiently(lambda: self._blobs.read(row.sha256)))

    def between(self, state: State, metrics: Mapping[str, Any], *, epoch_ended: bool) -> None:
        """Write a checkpoint if one is due at this batch boundary."""
        now = monotonic()
        self.wants_epoch = now >= self._epoch_at
        if not (now >= self._step_at or (epoch_ended and self.wants_epoch)):
            return
        try:
            self.save(state, metrics, "epoch" if epoch_ended else "interval")
        except (OSError, BlobsAway) as error:
            log.warning("checkpoint could not be written", error=str(error))
            why = error.strerror if isinstance(error, OSError) else BlobsAway.__doc__
            self._writer.remark(LogRow(f"a checkpoint could not be written: {why}", state.step, state.epoch))
        self._space(monotonic() - now)

    def save(self, state: State, metrics: Mapping[str, Any], reason: str, then: Then | None = None) -> None:
        """Write the file, then record it, and in the same transaction do `then`, for which a bucket is waited for.

        Raises
        ------
        OSError, BlobsAway
            the disk is full; the bucket does not answer.
        """
        notes = {"emitted": self._writer.emitted(), "kernels": self._kernels}
        data = encode(state, self._model, notes)
        sha256 = self._writer.patiently(lambda: self._blobs.put(data)) if then else self._blobs.put(data)

        def record(s: Session, guarded: GuardedWrite) -> None:
            self._blobs.keep(sha256, data)  # the database may have been away for long
            checkpoints.record(
                s,
                guarded.token,
                step=state.step,
                epoch=state.epoch,
                sha256=sha256,
                bytes=len(data),
                weights_sha256=weights_sha256(state),
                metrics=dict(metrics),
                reason=reason,
            )
            if then is not None:
                then(s, guarded)
            checkpoints.prune(s, guarded.token.job_id, self._kept)

        self._writer.write(record)

    def _space(self, cost: float) -> None:
        now = monotonic()
        self.wants_epoch = False
        self._epoch_at = now + max(AT_EPOCHS, SPACING * cost)
        self._step_at = now + max(AT_STEPS, SPACING * cost)

    def _newest(self, job_id: str) -> Checkpoint | None:
        with self._writer.leased_job.database.read() as s:
            return checkpoints.latest(s, job_id)

    def _start_of(self, job_id: str) -> Checkpoint | None:
        with self._writer.leased_job.database.read() as s:
            return checkpoints.start_of(s, job_id)

    def _pass_over(self, damaged: Checkpoint, error: Exception) -> Checkpoint | None:
        """Forget a checkpoint that cannot be read, and say so; returns the one before."""
        log.error("checkpoint is damaged", checkpoint=damaged.id, error=str(error))
        if damaged.reason == CONTINUE:
            raise DamagedOrigin(DamagedOrigin.__doc__) from error
        worker = self._writer.leased_job.worker

        def forget(s: Session, guarded: GuardedWrite) -> None:
            before = checkpoints.discard(s, guarded.token, damaged.id)
            onward = f"going on from step {before.step}" if before else "starting anew"
            leases.note(
                s, guarded.token, f"the checkpoint of step {damaged.step} is damaged or missing: {onward}", worker
            )

        self._writer.write(forget)
        return self._writer.patiently(lambda: self._newest(damaged.job_id))

    def _compare_kernels(self, saved: CheckpointData) -> None:
        """Say so where numbers may come out otherwise than on the machine that wrote the checkpoint."""
        before = saved.run_info.get("kernels")
        if before == self._kernels:
            return
        message = f"going on under another BLAS: {_words(self._kernels)} after {_words(before)}"
        worker = self._writer.leased_job.worker
        self._writer.write(lambda s, guarded: leases.note(s, guarded.token, message, worker))


def _words(kernels: Any) -> str:
    return "; ".join(" ".join(str(value) for value in kernel.values()) for kernel in kernels or []) or "none"
