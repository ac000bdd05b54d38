"""Jobs that start from a checkpoint of another job, copied as a checkpoint of their own.

The copy is recorded in the transaction that inserts the job, so that its blob stays when the other job is deleted.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from core.ids import new_id
from core.store.checkpoints import CONTINUE, START
from core.store.clock import now
from core.store.errors import NoSuchCheckpoint
from core.store.scope import Scope
from core.store.tables import Checkpoint, Job
from core.versions import ARITHMETIC

COPIED_COLUMNS = ("step", "epoch", "sha256", "bytes", "weights_sha256", "metrics")


@dataclass(frozen=True, eq=False)
class WarmStart:
    """The other job's checkpoint, what it is used for, and the new job's columns that come from it."""

    checkpoint: Checkpoint
    reason: str
    """`start`: its weights only; `continue`: the full state of the training."""
    columns: Mapping[str, Any] = field(default_factory=dict)

    @property
    def description(self) -> str:
        """The words of the new job's first transition."""
        return f"to {self.reason} from step {self.checkpoint.step} of {self.checkpoint.job_id}"


def lock_checkpoint(s: Session, scope: Scope, checkpoint_id: str) -> Checkpoint:
    """Return a checkpoint, locked against deletion until this transaction ends.

    Raises
    ------
    NoSuchCheckpoint
        If it does not exist in the scope.
    """
    row = select(Checkpoint).where(Checkpoint.id == checkpoint_id, scope.includes_job(Checkpoint.job_id))
    found = s.scalars(row.with_for_update(read=True)).one_or_none()
    if found is None:
        raise NoSuchCheckpoint(checkpoint_id)
    return found


def continuation_of(job: Job, checkpoint: Checkpoint, inexact: list[str]) -> WarmStart:
    """Return the warm start that continues an ended job from its last checkpoint, with its progress.

    `inexact` lists the reasons why the numbers may differ from those of one long training.
    """
    best = job.best if job.best and job.best["step"] <= checkpoint.step else None
    progress = {"step": checkpoint.step, "epoch": checkpoint.epoch, "latest": dict(checkpoint.metrics), "best": best}
    reasons = [*([job.inexact_reason] if job.inexact_reason else []), *inexact, *_other_numbers(job)]
    origin = {"continues": job.id, "inexact_reason": "; ".join(reasons) or None, "runtime": job.runtime}
    origin["reproducible"] = job.reproducible is True
    return WarmStart(checkpoint, CONTINUE, {**progress, **origin, "weights_sha256": checkpoint.weights_sha256})


def start_of(job: Job, checkpoint: Checkpoint) -> WarmStart:
    """Return the warm start that takes the weights of a job's checkpoint."""
    return WarmStart(checkpoint, START, {"inexact_reason": "; ".join(_other_numbers(job)) or None})


def _other_numbers(job: Job) -> list[str]:
    """Return why this version would not compute the job's numbers again, bit for bit."""
    if job.reproducible is None:
        return [f"a version before 0.2.0 computed {job.id}"]
    if not job.reproducible:
        return [
            f"{job.id} is not reproducible: it was resumed with another arithmetic, library, kernel or thread count"
        ]
    if job.arithmetic != ARITHMETIC:
        return [f"{job.id} was computed with arithmetic {job.arithmetic}, and this version computes with {ARITHMETIC}"]
    return []


def copy_checkpoint(s: Session, job: Job, warm_start: WarmStart) -> None:
    """Record the other job's checkpoint as one of this job, in the transaction that inserts the job.

    The checkpoint must be locked by `lock_checkpoint`, which also checks the client's scope.
    """
    copied = {name: getattr(warm_start.checkpoint, name) for name in COPIED_COLUMNS}
    name = new_id("ckpt")
    values = {**copied, "id": name, "job_id": job.id, "reason": warm_start.reason, "created_at": now()}
    s.execute(insert(Checkpoint).values(values))
    if warm_start.reason == CONTINUE:
        s.execute(update(Job).where(Job.id == job.id).values(checkpoint_id=name))
