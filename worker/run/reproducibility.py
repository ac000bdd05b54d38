"""What a run computes with, compared with what computed the state that it resumes.

Numbers depend on it in their last bits, so a job that changes it cannot be repeated bit for bit.
"""

from collections.abc import Mapping
from typing import Any

from core.store.checkpoints import START
from core.store.tables import Job
from worker.run.checkpointer import LoadedCheckpoint
from worker.run.write_batch import WriteBatch

UNKNOWN = "something unknown"


def begin_run(job: Job, checkpoint: LoadedCheckpoint | None, computed_with: str) -> WriteBatch:
    """Return what to write when a run begins: the columns that change, and a note if it computes with something else.

    Parameters
    ----------
    job
        The row as it was claimed.
    checkpoint
        The checkpoint from which the run starts.
    computed_with
        What this run computes with.
    """
    columns: dict[str, Any] = {"computed_with": computed_with}
    start = checkpoint if checkpoint and checkpoint.reason == START else None
    before = checkpoint.computed_with if checkpoint and not start else job.computed_with
    if not (job.recorded or (checkpoint and not start)):
        columns["reproducible"] = True
    elif before != computed_with:
        reason = f"computed with {computed_with} from step {job.step}, and with {before or UNKNOWN} before"
        columns |= {"reproducible": False} | (_inexact(job, reason) if job.continues else {})
        return WriteBatch(columns=_changed(job, columns), note=f"resumed, not reproducible: {reason}")
    if start and start.computed_with != computed_with:
        reason = f"the weights to start from were computed with {start.computed_with}, this job with {computed_with}"
        columns |= _inexact(job, reason)
        if job.computed_with is None:
            return WriteBatch(columns=_changed(job, columns), note=f"started, not exact: {reason}")
    return WriteBatch(columns=_changed(job, columns))


def _inexact(job: Job, reason: str) -> dict[str, str]:
    known = job.inexact_reason or ""
    return {"inexact_reason": known if reason in known else "; ".join(filter(None, [known, reason]))}


def _changed(job: Job, columns: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in columns.items() if getattr(job, name) != value}
