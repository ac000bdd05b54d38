"""A checkpoint as JSON."""

from pydantic import BaseModel

from api.schemas.values import finite_or_none, rfc3339
from core.store import tables


class Checkpoint(BaseModel):
    """A saved state of a training; a job can resume from it and predict with it."""

    id: str
    step: int
    epoch: int
    bytes: int
    sha256: str
    weights_sha256: str
    metrics: dict[str, float | None]
    reason: str
    created_at: str


def checkpoint_view(row: tables.Checkpoint) -> Checkpoint:
    """Return the view of a checkpoint."""
    return Checkpoint(
        id=row.id,
        step=row.step,
        epoch=row.epoch,
        bytes=row.bytes,
        sha256=row.sha256,
        weights_sha256=row.weights_sha256,
        metrics={name: finite_or_none(value) for name, value in row.metrics.items()},
        reason=row.reason,
        created_at=rfc3339(row.created_at),
    )
