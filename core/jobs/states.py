"""The states of a job and the transitions between them, in one table."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Status(StrEnum):
    """The status of a job."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSING = "pausing"
    PAUSED = "paused"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class StopReason(StrEnum):
    """Reason for which the training of a job stopped."""

    EPOCHS_COMPLETED = "epochs_completed"
    CONVERGED = "converged"
    EARLY_STOPPED = "early_stopped"
    TARGET_REACHED = "target_reached"
    MAX_RUNTIME = "max_runtime"
    DIVERGED = "diverged"
    CANCELLED = "cancelled"


class Request(StrEnum):
    """A request to a running job, from a client (cancel, pause) or from a worker that shuts down (yield)."""

    CANCEL = "cancel"
    PAUSE = "pause"
    YIELD = "yield"


class Keep(StrEnum):
    """Choice of the weights of a cancelled job to keep for predictions."""

    BEST = "best"
    LAST = "last"
    NONE = "none"


ACTIVE = frozenset({Status.RUNNING, Status.PAUSING, Status.CANCELLING})
"""A worker has a lease on the job."""

TERMINAL = frozenset({Status.SUCCEEDED, Status.FAILED, Status.CANCELLED})
"""Final states."""

TRANSITIONS: Mapping[Status, frozenset[Status]] = MappingProxyType(
    {
        Status.QUEUED: frozenset({Status.RUNNING, Status.PAUSED, Status.CANCELLED}),
        Status.RUNNING: frozenset(
            {Status.QUEUED, Status.PAUSING, Status.CANCELLING, Status.SUCCEEDED, Status.FAILED},
        ),
        Status.PAUSING: frozenset({Status.PAUSED, Status.CANCELLING, Status.SUCCEEDED, Status.FAILED}),
        Status.PAUSED: frozenset({Status.QUEUED, Status.CANCELLED}),
        Status.CANCELLING: frozenset({Status.CANCELLED, Status.SUCCEEDED, Status.FAILED}),
        Status.SUCCEEDED: frozenset(),
        Status.FAILED: frozenset(),
        Status.CANCELLED: frozenset(),
    },
)
"""The statuses that may follow each status."""


def sources(target: Status) -> frozenset[Status]:
    """Return the statuses from which a job may go to `target`."""
    return frozenset(status for status, following in TRANSITIONS.items() if target in following)


def mermaid() -> str:
    """Return the table as a Mermaid state diagram."""
    transitions = [f"{a} --> {b}" for a in Status for b in Status if b in TRANSITIONS[a]]
    ends = [f"{status} --> [*]" for status in Status if status in TERMINAL]
    return "\n    ".join(["stateDiagram-v2", f"[*] --> {Status.QUEUED}", *transitions, *ends]) + "\n"
