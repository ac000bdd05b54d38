"""Rows for tests, with every field filled in: a test names only what it is about."""

from typing import Any

from sqlalchemy import update
from sqlalchemy.orm import Session

from core.store import checkpoints, datasets, jobs, leases
from core.store.events import MetricRow
from core.store.guards import FencingToken, GuardedWrite, token_of
from core.store.scope import EVERYTHING, Scope
from core.store.tables import Checkpoint, Dataset, Job
from core.versions import ARITHMETIC, VOCABULARY, Release

LEASE = 30.0
A_NEWER_RELEASE = Release("99.0.0", VOCABULARY + 1, ARITHMETIC + 1)
AN_OLDER_RELEASE = Release("0.0.1", VOCABULARY - 1, ARITHMETIC - 1)


def a_job(s: Session, scope: Scope = EVERYTHING, **changes: Any) -> Job:
    """A queued job."""
    defaults: dict[str, Any] = {"name": "y = 2x", "spec": "{}", "metadata": {}, "epochs": 1, "steps": 10, "threads": 1}
    return jobs.insert(s, scope, **defaults | changes)


def a_claim(s: Session, worker: str = "w1", **changes: Any) -> FencingToken:
    """A job of its own in the hands of a worker."""
    job = a_job(s, priority=1_000, **changes)
    claimed = leases.claim(s, worker, LEASE)
    assert claimed is not None
    assert claimed.id == job.id
    return token_of(claimed)


def a_guard(s: Session, token: FencingToken, **changes: Any) -> GuardedWrite:
    """A guarded transaction has begun."""
    return leases.guard(s, token, **{"lease_seconds": LEASE} | changes)


def a_checkpoint(s: Session, token: FencingToken, **changes: Any) -> Checkpoint:
    """A checkpoint of the guarded transaction."""
    defaults: dict[str, Any] = {"step": 1, "epoch": 1, "sha256": sha("c"), "bytes": 3, "weights_sha256": sha("d")}
    return checkpoints.record(s, token, **defaults | {"metrics": {"loss": 0.5}, "reason": "epoch"} | changes)


def a_dataset(s: Session, scope: Scope = EVERYTHING, **changes: Any) -> Dataset:
    """A dataset of a name and bytes of its own."""
    defaults: dict[str, Any] = {"name": "iris.csv", "format": "csv", "sha256": sha("a"), "bytes": 3, "rows": 1}
    given = defaults | {"columns": {"columns": []}} | changes
    return datasets.insert(s, scope, **{"fingerprint": given["sha256"]} | given)[0]


def a_row(**changes: Any) -> MetricRow:
    """A training loss."""
    return MetricRow(1, 1, "train", "loss", 0.5)._replace(**changes)


def sha(letter: str) -> str:
    """A name that a blob could have."""
    return letter * 64


def lapse(s: Session, job_id: str) -> None:
    """Let the job's lease have run out."""
    s.execute(update(Job).where(Job.id == job_id).values(lease_until=1))
