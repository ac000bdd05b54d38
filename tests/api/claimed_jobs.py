"""A builder of claimed jobs with stored events."""

from core.store import events, leases
from core.store.events import LogRow, MetricRow
from core.store.guards import token_of
from tests.api.conftest import Api


def claimed_job_with(api: Api, rows: list[MetricRow], logs: tuple[LogRow, ...] = ()) -> str:
    """Create and claim a job, and write these rows and logs as its worker."""
    posted = str(api.post()["id"])
    with api.services.database.begin() as s:
        while (job := leases.claim(s, "someone", 30.0)) is not None and job.id != posted:
            pass
        assert job is not None
        guarded = leases.guard(s, token_of(job), lease_seconds=30.0, events=len(rows) + len(logs), recorded=len(rows))
        events.append(s, guarded, rows, logs=logs)
    return posted
