"""Outcomes of a run: a terminal status, or one from which another run resumes."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from core import VERSION
from core.data.errors import InvalidData, InvalidFile
from core.jobs.errors import InvalidSpec
from core.jobs.states import Request, Status, StopReason
from core.json_pointer import pointer
from core.nn.losses.ctc import NoAlignment
from core.nn.training.options import Diverged
from core.store.errors import NoSuchDataset
from core.store.events import LogRow
from core.versions import VOCABULARY
from worker.run.errors import DamagedDataset, DamagedSpec, DamagedWarmStart


@dataclass(frozen=True)
class Outcome:
    """The status in which a run leaves its job, the message for clients, and the reason of the last checkpoint."""

    status: Status
    message: str
    stop_reason: StopReason | None = None
    error: Mapping[str, Any] | None = None
    checkpoint_reason: str = "end"


REQUESTED: Mapping[Request, Outcome] = MappingProxyType(
    {
        Request.CANCEL: Outcome(Status.CANCELLED, "cancelled", StopReason.CANCELLED),
        Request.PAUSE: Outcome(Status.PAUSED, "paused", checkpoint_reason="pause"),
        Request.YIELD: Outcome(Status.QUEUED, "requeued: the worker shuts down", checkpoint_reason="yield"),
    }
)
"""The outcome of each request."""

INTERRUPTIONS = frozenset({Status.QUEUED, Status.PAUSED})
"""Statuses from which another run resumes the training."""


def apply_request(outcome: Outcome, request: Request | None) -> Outcome:
    """Return the outcome to store: a request that arrived meanwhile replaces an interruption, but never an end."""
    return REQUESTED[request] if request is not None and outcome.status in INTERRUPTIONS else outcome


def completed(stop: str) -> Outcome:
    """Return the outcome of a training that stopped by itself."""
    reason = StopReason(stop)
    return Outcome(Status.SUCCEEDED, reason.value.replace("_", " "), reason)


MAX_ERROR_ROWS = 100
"""Dataset rows that the error of a diverged job lists at most."""


def diverged(fact: Diverged) -> Outcome:
    """Return the outcome of a training whose numbers are no longer finite; the last finite weights are kept."""
    error = {
        "code": "diverged",
        "message": str(fact),
        "step": fact.step,
        "epoch": fact.epoch,
        "layer": fact.where,
        "pointer": pointer("architecture", *fact.path) if fact.path else None,
        "rows": list(fact.rows[:MAX_ERROR_ROWS]),
    }
    return Outcome(Status.FAILED, "diverged", StopReason.DIVERGED, error)


def rows_exceeded(max_rows: int) -> Outcome:
    """Return the outcome of a training that writes more metric rows than the client allows; the weights are kept."""
    message = f"the training writes more than {max_rows:,} metric rows: raise training.log_every or limits.rows"
    return Outcome(
        Status.FAILED, "limit exceeded", error={"code": "limit_exceeded", "limit": "rows", "message": message}
    )


def rows_left_out(max_rows: int, step: int, epoch: int) -> LogRow:
    """Return the log message of a training that writes more metric rows than the service stores for a job."""
    message = f"the first {max_rows:,} metric rows are stored and later ones are not; the training goes on"
    remedy = "for fewer rows raise training.log_every or training.inspect_every"
    return LogRow(f"{message}: {remedy}", step, epoch, {"code": "rows_left_out", "rows": max_rows})


FOR_A_NEWER_VERSION: Mapping[str, Any] = MappingProxyType(
    {"vocabulary": VOCABULARY + 1, "version": f"newer than {VERSION}"}
)
"""The columns of a job that no worker of this version claims again."""


def left_to_another_version(error: Exception) -> Outcome:
    """Return the outcome of a job whose spec or checkpoint this version does not know: it waits in the queue."""
    return Outcome(Status.QUEUED, f"requeued for a newer version: {error}")


FAILURES: Mapping[type[Exception], str] = MappingProxyType(
    {
        InvalidData: "invalid_data",
        InvalidFile: "invalid_data",
        NoAlignment: "invalid_data",
        InvalidSpec: "invalid_spec",
        DamagedDataset: "damaged_dataset",
        DamagedSpec: "damaged_spec",
        DamagedWarmStart: "damaged_checkpoint",
        NoSuchDataset: "unknown_dataset",
        MemoryError: "out_of_memory",
        OSError: "storage_failed",
    }
)
"""The code of each failure that a client or an operator can fix."""

PUBLIC_MESSAGES: Mapping[str, str] = MappingProxyType(
    {
        "internal_error": "the service failed; the worker's log has the details",
        "out_of_memory": "the training needs more memory than is available: "
        "choose a smaller batch_size, network or dataset",
        "storage_failed": "the weights could not be written: free disk space on the service and post the job again",
    }
)
"""Messages that replace the error's own text, which may contain file names and code."""


def failed(error: Exception) -> Outcome:
    """Return the outcome of any other failure. An error that is not in `FAILURES` is reported without details."""
    code = next((code for kind, code in FAILURES.items() if isinstance(error, kind)), "internal_error")
    message = PUBLIC_MESSAGES.get(code) or str(error)
    return Outcome(Status.FAILED, code.replace("_", " "), error={"code": code, "message": message})
