"""The content of one guarded transaction, as data: rows, logs, progress, a checkpoint and the run's outcome."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.jobs.cadence import Row
from core.store.events import LogRow
from core.store.tables import Checkpoint
from worker.run.outcomes import Outcome


@dataclass(frozen=True)
class WorkDone:
    """Training done since the last write."""

    steps: int = 0
    samples: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, eq=False)
class NewCheckpoint:
    """A checkpoint whose file is stored and whose row is still to be written."""

    step: int
    epoch: int
    sha256: str
    data: bytes
    """The file's content, in case the file was removed while the database was away."""
    weights_sha256: str
    metrics: Mapping[str, Any]
    reason: str
    keep: int
    """Number of checkpoints that the job keeps, this one included."""


@dataclass(frozen=True, eq=False)
class WriteBatch:
    """The content of one transaction. `LeasedJob.write` applies the fields in this order."""

    rows: Sequence[Row] = ()
    """Metric rows of the training's deterministic stream."""
    logs: Sequence[LogRow] = ()
    columns: Mapping[str, Any] = field(default_factory=dict)
    """Columns of the job's row that change."""
    work_done: WorkDone = WorkDone()
    note: str | None = None
    """A message for the job's transitions."""
    damaged: Checkpoint | None = None
    """A checkpoint that cannot be read and is removed."""
    checkpoint: NewCheckpoint | None = None
    outcome: Outcome | None = None
    """How the run ends; the job leaves the worker with this write."""
