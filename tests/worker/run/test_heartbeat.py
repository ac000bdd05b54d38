"""The heartbeat renews a lease in time, and ends the run of a worker that has lost its job."""

from dataclasses import dataclass, field
from threading import Event
from typing import cast

import pytest
from sqlalchemy.exc import OperationalError

from core.store.errors import Fenced
from harness.processes import TIMEOUT_SECONDS
from worker.run.heartbeat import RENEW_BELOW, Heartbeat
from worker.run.writer import Writer


@dataclass
class FakeJob:
    """A leased job with a lease of 12 ms, of which a given part is left."""

    left: float
    errors: list[Exception] = field(default_factory=list)
    lease_seconds: float = 0.012
    renewals: int = 0
    renewed: Event = field(default_factory=Event)
    checks: int = 0
    checked_often: Event = field(default_factory=Event)

    @property
    def lease_left(self) -> float:
        """The part of the lease that is left."""
        self.checks += 1
        if self.checks > 3:
            self.checked_often.set()
        return self.left

    def renew(self) -> None:
        """Raise the next error; without one, count a renewal."""
        if self.errors:
            raise self.errors.pop(0)
        self.renewals += 1
        self.left = 1.0
        self.renewed.set()


@dataclass
class FakeWriter:
    """A writer that stores why it failed."""

    leased_job: FakeJob
    error: BaseException | None = None
    failed: Event = field(default_factory=Event)

    def fail(self, error: BaseException) -> None:
        """Store the error."""
        self.error = error
        self.failed.set()


def heartbeat(writer: FakeWriter) -> Heartbeat:
    return Heartbeat(cast("Writer", writer))


def test_lease_is_renewed_once_it_is_short() -> None:
    writer = FakeWriter(FakeJob(left=RENEW_BELOW))
    with heartbeat(writer):
        assert writer.leased_job.renewed.wait(TIMEOUT_SECONDS)
    assert writer.leased_job.renewals == 1


def test_long_lease_is_not_renewed() -> None:
    writer = FakeWriter(FakeJob(left=1.0))
    with heartbeat(writer):
        assert writer.leased_job.checked_often.wait(TIMEOUT_SECONDS)
    assert writer.leased_job.renewals == 0


@pytest.mark.parametrize("failures", [1, 3])
def test_database_that_is_away_is_asked_again(failures: int) -> None:
    away = [OperationalError("UPDATE", {}, Exception("connection refused")) for _ in range(failures)]
    writer = FakeWriter(FakeJob(left=0.1, errors=[*away]))
    with heartbeat(writer):
        assert writer.leased_job.renewed.wait(TIMEOUT_SECONDS)
    assert (writer.leased_job.errors, writer.error) == ([], None)


def test_lost_job_fails_the_writer() -> None:
    fenced = Fenced("job_1", 1)
    writer = FakeWriter(FakeJob(left=0.1, errors=[fenced]))
    with heartbeat(writer):
        assert writer.failed.wait(TIMEOUT_SECONDS)
    assert writer.error is fenced
