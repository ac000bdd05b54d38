"""How a run may end: for good, or so that another run goes on. One table has the clients' wishes, one the failures."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from core.data.errors import InvalidData, InvalidFile
from core.jobs.resolve import InvalidSpec
from core.jobs.states import Request, Status, StopReason
from core.json_pointer import pointer
from core.nn.losses.ctc import NoAlignment
from core.nn.training.options import Diverged
from core.store.errors import NoSuchDataset
from worker.run.checkpointer import DamagedOrigin
from worker.run.prepared_job import DamagedDataset


@dataclass(frozen=True)
class Outcome:
    """The status that a run leaves its job in, why, and the reason of the checkpoint that is written with it."""

    status: Status
    message: str
    stop_reason: StopReason | None = None
    error: Mapping[str, Any] | None = None
    checkpoint: str = "end"


REQUESTED: Mapping[Request, Outcome] = MappingProxyType(
    {
        Request.CANCEL: Outcome(Status.CANCELLED, "cancelled", StopReason.CANCELLED),
        Request.PAUSE: Outcome(Status.PAUSED, "paused", checkpoint="pause"),
        Request.YIELD: Outcome(Status.QUEUED, "handed back: the worker shuts down", checkpoint="yield"),
    }
)
"""What ends a run when it is asked for."""

INTERRUPTIONS = frozenset({Status.QUEUED, Status.PAUSED})
"""Endings that give way to a wish which arrived meanwhile."""


def completed(stop: str) -> Outcome:
    """Training came to its own end."""
    reason = StopReason(stop)
    return Outcome(Status.SUCCEEDED, reason.value.replace("_", " "), reason)


MOST_ROWS = 100
"""Rows that the error of a job which diverged names."""


def diverged(fact: Diverged) -> Outcome:
    """The numbers are not finite any more; the last good weights are kept."""
    told = {"code": "diverged", "message": str(fact), "step": fact.step, "epoch": fact.epoch, "layer": fact.where}
    place = pointer("architecture", *fact.path) if fact.path else None
    error = {**told, "pointer": place, "rows": list(fact.rows[:MOST_ROWS])}
    return Outcome(Status.FAILED, "diverged", StopReason.DIVERGED, error)


def rows_exceeded(most: int) -> Outcome:
    """Training leaves more metric rows than the client allowed; the weights are kept."""
    message = f"the training leaves more than {most:,} metric rows: raise training.log_every or limits.rows"
    return Outcome(
        Status.FAILED, "limit exceeded", error={"code": "limit_exceeded", "limit": "rows", "message": message}
    )


FAILURES: Mapping[type[Exception], str] = MappingProxyType(
    {
        InvalidData: "invalid_data",
        InvalidFile: "invalid_data",
        NoAlignment: "invalid_data",
        InvalidSpec: "invalid_spec",
        DamagedDataset: "damaged_dataset",
        DamagedOrigin: "damaged_checkpoint",
        NoSuchDataset: "unknown_dataset",
        MemoryError: "out_of_memory",
        OSError: "storage_failed",
    }
)
"""The code of each failure that is a client's or an operator's to mend."""

TOLD: Mapping[str, str] = MappingProxyType(
    {
        "internal_error": "something went wrong in the service; the log of the worker says what",
        "out_of_memory": "the training needs more memory than there is: take a smaller batch_size, net or dataset",
        "storage_failed": "the weights could not be written: see that the service's disk has room, and post it again",
    }
)
"""What is said instead of an error's own words, which may name files and code."""


def failed(error: Exception) -> Outcome:
    """Anything else went wrong. What isn't in the table is told without details: those are in the log."""
    code = next((code for kind, code in FAILURES.items() if isinstance(error, kind)), "internal_error")
    message = TOLD.get(code) or str(error)
    return Outcome(Status.FAILED, code.replace("_", " "), error={"code": code, "message": message})
