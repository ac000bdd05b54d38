"""The states of a job and the ways between them. One table says every change that is allowed."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Status(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSING = "pausing"
    PAUSED = "paused"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class StopReason(StrEnum):
    """Why the training of an ended job stopped."""

    EPOCHS_COMPLETED = "epochs_completed"
    CONVERGED = "converged"
    EARLY_STOPPED = "early_stopped"
    TARGET_REACHED = "target_reached"
    MAX_RUNTIME = "max_runtime"
    DIVERGED = "diverged"
    CANCELLED = "cancelled"


class Request(StrEnum):
    """What a client (cancel, pause) or a shutdown (yield) wants of a running job."""

    CANCEL = "cancel"
    PAUSE = "pause"
    YIELD = "yield"


class Keep(StrEnum):
    """Which weights a cancelled job keeps to predict with."""

    BEST = "best"
    LAST = "last"
    NONE = "none"


ACTIVE = frozenset({Status.RUNNING, Status.PAUSING, Status.CANCELLING})
"""A worker holds the job."""

TERMINAL = frozenset({Status.SUCCEEDED, Status.FAILED, Status.CANCELLED})
"""Nothing changes the job any more."""

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
"""From each status, those that may follow."""


def sources(target: Status) -> frozenset[Status]:
    """The states that a job may leave for `target`."""
    return frozenset(status for status, following in TRANSITIONS.items() if target in following)


def mermaid() -> str:
    """The table above as a Mermaid state diagram."""
    changes = [f"{a} --> {b}" for a in Status for b in Status if b in TRANSITIONS[a]]
    ends = [f"{status} --> [*]" for status in Status if status in TERMINAL]
    return "\n    ".join(["stateDiagram-v2", f"[*] --> {Status.QUEUED}", *changes, *ends]) + "\n"
