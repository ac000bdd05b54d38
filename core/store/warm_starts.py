"""Where a job begins that does not begin anew: a checkpoint of another job, recorded as one of its own.

It is recorded in the transaction that makes the job, so that its blob is named whatever becomes of the other job.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from core.ids import new_id
from core.store.checkpoints import CONTINUE
from core.store.clock import now
from core.store.errors import NoSuchCheckpoint
from core.store.scope import Scope
from core.store.tables import Checkpoint, Job

COPIED = ("step", "epoch", "sha256", "bytes", "weights_sha256", "metrics")


@dataclass(frozen=True, eq=False)
class WarmStart:
    """The other job's checkpoint, what it is for, and what the new job's row has from it at once."""

    checkpoint: Checkpoint
    reason: str
    """`start`: its weights alone; `continue`: the whole state of the training."""
    columns: Mapping[str, Any] = field(default_factory=dict)

    @property
    def told(self) -> str:
        """What the new job's first transition says of it."""
        return f"to {self.reason} from step {self.checkpoint.step} of {self.checkpoint.job_id}"


def held_still(s: Session, scope: Scope, checkpoint_id: str) -> Checkpoint:
    """The checkpoint of that id, which nobody forgets before this transaction ends.

    Raises
    ------
    NoSuchCheckpoint
        it was never made, or is gone.
    """
    mine = select(Checkpoint).where(Checkpoint.id == checkpoint_id, scope.includes_job(Checkpoint.job_id))
    statement = mine.with_for_update(read=True)
    found = s.scalars(statement).one_or_none()
    if found is None:
        raise NoSuchCheckpoint(checkpoint_id)
    return found


def continuing(job: Job, checkpoint: Checkpoint, inexact: list[str]) -> WarmStart:
    """Go on from the last checkpoint of a job that has ended, with all that its row knows by then."""
    best = job.best if job.best and job.best["step"] <= checkpoint.step else None
    reached = {"step": checkpoint.step, "epoch": checkpoint.epoch, "latest": dict(checkpoint.metrics), "best": best}
    because = "; ".join([*([job.inexact_reason] if job.inexact_reason else []), *inexact]) or None
    known = {"continues": job.id, "inexact_reason": because, "runtime": job.runtime}
    return WarmStart(checkpoint, CONTINUE, {**reached, **known, "weights_sha256": checkpoint.weights_sha256})


def adopt(s: Session, job: Job, origin: WarmStart) -> None:
    """Record the other job's checkpoint as this one's, in the transaction that makes it."""
    copied = {name: getattr(origin.checkpoint, name) for name in COPIED}
    name = new_id("ckpt")
    values = {**copied, "id": name, "job_id": job.id, "reason": origin.reason, "created_at": now()}
    s.execute(insert(Checkpoint).values(values))
    if origin.reason == CONTINUE:
        s.execute(update(Job).where(Job.id == job.id).values(checkpoint_id=name))
