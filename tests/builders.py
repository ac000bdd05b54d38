"""Builders of rows with full defaults: a test names only the fields that matter to it."""

from typing import Any

from sqlalchemy import update
from sqlalchemy.orm import Session

from core.store import checkpoints, datasets, jobs, leases
from core.store.events import MetricRow
from core.store.guards import FencingToken, GuardedWrite, token_of
from core.store.scope import EVERYTHING, Scope
from core.store.tables import Checkpoint, Dataset, Job
from core.versions import ARITHMETIC, VOCABULARY, Release

LEASE_SECONDS = 30.0
A_NEWER_RELEASE = Release("99.0.0", VOCABULARY + 1, ARITHMETIC + 1)
AN_OLDER_RELEASE = Release("0.0.1", VOCABULARY - 1, ARITHMETIC - 1)


def a_job(s: Session, scope: Scope = EVERYTHING, **changes: Any) -> Job:
    """Insert a queued job."""
    defaults: dict[str, Any] = {"name": "y = 2x", "spec": "{}", "metadata": {}, "epochs": 1, "steps": 10, "threads": 1}
    return jobs.insert(s, scope, **defaults | changes)


def a_claim(s: Session, worker: str = "w1", **changes: Any) -> FencingToken:
    """Insert a job, claim it for a worker, and return its fencing token."""
    job = a_job(s, priority=1_000, **changes)
    claimed = leases.claim(s, worker, LEASE_SECONDS)
    assert claimed is not None
    assert claimed.id == job.id
    return token_of(claimed)


def a_guard(s: Session, token: FencingToken, **changes: Any) -> GuardedWrite:
    """Begin a guarded transaction of the claimed job."""
    return leases.guard(s, token, **{"lease_seconds": LEASE_SECONDS} | changes)


def a_checkpoint(s: Session, token: FencingToken, **changes: Any) -> Checkpoint:
    """Record a checkpoint of the claimed job."""
    defaults: dict[str, Any] = {"step": 1, "epoch": 1, "sha256": sha("c"), "bytes": 3, "weights_sha256": sha("d")}
    return checkpoints.record(s, token, **defaults | {"metrics": {"loss": 0.5}, "reason": "epoch"} | changes)


def a_dataset(s: Session, scope: Scope = EVERYTHING, **changes: Any) -> Dataset:
    """Insert a dataset; its fingerprint is its checksum by default."""
    defaults: dict[str, Any] = {"name": "iris.csv", "format": "csv", "sha256": sha("a"), "bytes": 3, "rows": 1}
    fields = defaults | {"columns": {"columns": []}} | changes
    return datasets.insert(s, scope, **{"fingerprint": fields["sha256"]} | fields)[0]


def a_row(**changes: Any) -> MetricRow:
    """Return a metric row: a training loss."""
    return MetricRow(1, 1, "train", "loss", 0.5)._replace(**changes)


def sha(letter: str) -> str:
    """Return a checksum of one repeated digit."""
    return letter * 64


def lapse(s: Session, job_id: str) -> None:
    """Set the end of the job's lease to the past."""
    s.execute(update(Job).where(Job.id == job_id).values(lease_until=1))
