"""A run's checkpoints: when one is due, how it is stored, and from which one a run resumes.

The file is stored first, then one guarded transaction records it with all rows up to it: no row is without its file.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any

import structlog

from core.blobs.blobs import Blobs
from core.blobs.errors import BlobStoreUnavailable, DamagedBlob, NoSuchBlob
from core.models.checkpoint import CheckpointData, DamagedCheckpoint, decode, encode, weights_sha256
from core.nn.step.state import State
from core.store import checkpoints
from core.store.checkpoints import CONTINUE, START
from core.store.events import LogRow
from core.store.tables import Checkpoint
from worker.run.errors import DamagedWarmStart
from worker.run.write_batch import NewCheckpoint, WriteBatch
from worker.run.writer import Writer

MIN_EPOCH_SECONDS = 1.0
"""Seconds of training after which the end of an epoch is worth a checkpoint."""
MIN_STEP_SECONDS = 30.0
"""Seconds of training after which any step is worth a checkpoint."""
MIN_SPACING_COSTS = 50
"""Least time between two checkpoints, as a multiple of the time that one takes: under 2 % of a run."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, eq=False)
class LoadedCheckpoint:
    """A checkpoint from which a run starts, and the reason for which it was written."""

    saved: CheckpointData
    reason: str

    @property
    def emitted(self) -> int:
        """Rows that this job had emitted when the checkpoint was written."""
        return 0 if self.reason in {START, CONTINUE} else int(self.saved.run_info["emitted"])

    @property
    def computed_with(self) -> str:
        """What its numbers were computed with, in the words of `WorkerContext.computed_with`."""
        return str(self.saved.run_info.get("computed_with") or _before_0_2_0(self.saved.run_info.get("kernels")))


class Checkpointer:
    """The checkpoints of one run.

    Parameters
    ----------
    blobs
        The store of checkpoint files.
    writer
        Writes to the job.
    model
        What a prediction needs besides the weights, stored in each file.
    computed_with
        What the run computes with, stored in each file and compared when another run resumes.
    keep
        Number of checkpoints that the job keeps.
    """

    def __init__(self, blobs: Blobs, writer: Writer, model: Mapping[str, Any], computed_with: str, keep: int) -> None:
        self.wants_epoch = False
        """Whether `save_if_due` must be called at the end of the next epoch."""
        self._blobs = blobs
        self._writer = writer
        self._model = model
        self._computed_with = computed_with
        self._keep = keep
        self._failing = False
        self._schedule_next(0.0)

    @property
    def due_at(self) -> float:
        """The time (monotonic) at which `save_if_due` must be called next."""
        return self._step_due_at if self.wants_epoch else self._epoch_due_at

    def load(self) -> LoadedCheckpoint | None:
        """Return the newest undamaged checkpoint of this job, else the one it starts from, else None.

        Raises
        ------
        DamagedWarmStart
            The job starts from another job's checkpoint, which cannot be read.
        UnknownCheckpoint
            The newest checkpoint has the format of another version.
        """
        row = self._writer.retry(self._newest_row)
        while row is not None:
            try:
                saved = self._read(row)
            except (DamagedBlob, NoSuchBlob, DamagedCheckpoint) as error:
                row = self._discard(row, error)
            else:
                return LoadedCheckpoint(saved, row.reason)
        return self._load_start()

    def _load_start(self) -> LoadedCheckpoint | None:
        """Return the other job's checkpoint with whose weights this job starts, if any."""
        row = self._writer.retry(self._start_row)
        if row is None:
            return None
        try:
            return LoadedCheckpoint(self._read(row), row.reason)
        except (DamagedBlob, NoSuchBlob, DamagedCheckpoint) as error:
            raise DamagedWarmStart(DamagedWarmStart.__doc__) from error

    def _read(self, row: Checkpoint) -> CheckpointData:
        return decode(self._writer.retry(lambda: self._blobs.read(row.sha256)))

    def save_if_due(self, state: State, metrics: Mapping[str, Any], *, epoch_ended: bool) -> None:
        """Write and record a checkpoint if one is due at this batch boundary."""
        now = monotonic()
        self.wants_epoch = now >= self._epoch_due_at
        if not (now >= self._step_due_at or (epoch_ended and self.wants_epoch)):
            return
        try:
            checkpoint = self.store(state, metrics, "epoch" if epoch_ended else "interval")
            self._writer.write(WriteBatch(checkpoint=checkpoint))
        except (OSError, BlobStoreUnavailable) as error:
            log.warning("checkpoint could not be written", error=str(error))
            reason = error.strerror if isinstance(error, OSError) else BlobStoreUnavailable.__doc__
            if not self._failing:  # once for all attempts in a row: the log must not grow while a disk is full
                self._writer.add_log(LogRow(f"a checkpoint could not be written: {reason}", state.step, state.epoch))
            self._failing = True
        else:
            self._failing = False
        self._schedule_next(monotonic() - now)

    def store(
        self, state: State, metrics: Mapping[str, Any], reason: str, *, wait_for_bucket: bool = False
    ) -> NewCheckpoint:
        """Store the file of a checkpoint and return what to record about it.

        Raises
        ------
        OSError, BlobStoreUnavailable
            The disk is full, or the bucket does not answer (and is not waited for).
        """
        run_info = {"emitted": self._writer.emitted_rows(), "computed_with": self._computed_with}
        data = encode(state, self._model, run_info)
        sha256 = self._writer.retry(lambda: self._blobs.put(data)) if wait_for_bucket else self._blobs.put(data)
        return NewCheckpoint(
            step=state.step,
            epoch=state.epoch,
            sha256=sha256,
            data=data,
            weights_sha256=weights_sha256(state),
            metrics=dict(metrics),
            reason=reason,
            keep=self._keep,
        )

    def _schedule_next(self, cost_seconds: float) -> None:
        now = monotonic()
        self.wants_epoch = False
        self._epoch_due_at = now + max(MIN_EPOCH_SECONDS, MIN_SPACING_COSTS * cost_seconds)
        self._step_due_at = now + max(MIN_STEP_SECONDS, MIN_SPACING_COSTS * cost_seconds)

    def _newest_row(self) -> Checkpoint | None:
        job = self._writer.leased_job
        with job.database.read() as s:
            return checkpoints.latest(s, job.job_id)

    def _start_row(self) -> Checkpoint | None:
        job = self._writer.leased_job
        with job.database.read() as s:
            return checkpoints.warm_start_of(s, job.job_id)

    def _discard(self, damaged: Checkpoint, error: Exception) -> Checkpoint | None:
        """Remove a checkpoint that cannot be read and return the previous one."""
        log.error("checkpoint is damaged", checkpoint=damaged.id, error=str(error))
        if damaged.reason == CONTINUE:
            raise DamagedWarmStart(DamagedWarmStart.__doc__) from error
        self._writer.write(WriteBatch(damaged=damaged))
        return self._writer.retry(self._newest_row)


def _before_0_2_0(kernels: Any) -> str:
    """Describe what a version before 0.2.0 recorded in its checkpoints: the BLAS libraries."""
    libraries = "; ".join(" ".join(str(value) for value in kernel.values()) for kernel in kernels or [])
    return f"an unknown arithmetic, {libraries or 'an unknown BLAS'}"
