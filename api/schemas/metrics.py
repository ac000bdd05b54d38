"""Metric rows as JSON."""

from typing import Any

from pydantic import BaseModel, Field

from api.schemas.values import rfc3339
from core.store.events import EventRow


class MetricRow(BaseModel):
    """One value of a metric."""

    seq: int = Field(description="The number of the event within its job; counts all events, without gaps.")
    step: int
    epoch: int
    split: str
    name: str
    value: float | None
    nonfinite: str | None = Field(default=None, description="`nan`, `inf` or `-inf` if `value` is null.")
    at: str


class Metrics(BaseModel):
    """A page of stored metric rows, ordered by `seq`."""

    items: list[MetricRow]
    next_after: int | None = Field(description="`?after=` of the next page; null if there are no more rows for now.")


def metric_view(row: EventRow) -> dict[str, Any]:
    """Return the fields of a `MetricRow`; `nonfinite` only for a non-finite value."""
    fields = {
        "seq": row.seq,
        "step": row.step,
        "epoch": row.epoch,
        "split": row.split,
        "name": row.name,
        "value": row.value,
        "at": rfc3339(row.at),
    }
    return {**fields, "nonfinite": row.nonfinite} if row.nonfinite else fields
