"""Versions that use one database."""

import pytest
from sqlalchemy import func, select, update

from core.store import leases, versions
from core.store.clock import microseconds, now, read_clock
from core.store.database import Database
from core.store.errors import OlderVersion
from core.store.scope import EVERYTHING, Scope
from core.store.tables import ServiceVersion
from core.store.versions import ALIVE_SECONDS, SEEN_SECONDS, WaitingJobs
from core.versions import THIS, Release
from tests.builders import A_NEWER_RELEASE, AN_OLDER_RELEASE, LEASE_SECONDS, a_job


def test_older_version_may_not_start_unless_allowed(database: Database) -> None:
    versions.start(database, "api", allow_older=False)
    versions.start(database, "worker", allow_older=False, release=A_NEWER_RELEASE)
    for part in ("api", "worker"):
        with pytest.raises(OlderVersion, match=rf"Version 99\.0\.0 .* this is {THIS.version}: .*CHAINRULE_ALLOW_OLDER"):
            versions.start(database, part, allow_older=False)
        versions.start(database, part, allow_older=True)
    versions.start(database, "api", allow_older=False, release=A_NEWER_RELEASE)


def test_refused_version_is_not_recorded(database: Database) -> None:
    versions.start(database, "api", allow_older=False)
    with pytest.raises(OlderVersion):
        versions.start(database, "api", allow_older=False, release=AN_OLDER_RELEASE)
    with database.read() as s:
        assert s.scalars(select(ServiceVersion.version)).all() == [THIS.version]


def test_many_starts_of_a_version_are_one_row(database: Database) -> None:
    for _ in range(3):
        versions.start(database, "worker", allow_older=False)
    with database.read() as s:
        assert s.scalar(select(func.count()).select_from(ServiceVersion)) == 1


def test_worker_counts_as_alive_until_its_end_or_a_minute_of_silence(database: Database) -> None:
    with database.begin() as s:
        versions.record_start(s, "api")
        assert versions.live_workers(s) == []
        versions.record_start(s, "worker")
        assert versions.live_workers(s) == [THIS]
        versions.record_stop(s, "worker")
        assert versions.live_workers(s) == []
        versions.record_alive(s, "worker")  # another worker of the same version
        assert versions.live_workers(s) == [THIS]
        for seconds in (-ALIVE_SECONDS - 1, 3600.0):  # silent, and written before the clock was set back
            s.execute(update(ServiceVersion).values(seen_at=now() + microseconds(seconds)))
            assert versions.live_workers(s) == []


def test_alive_record_is_written_only_when_due(database: Database) -> None:
    with database.begin() as s:
        versions.record_start(s, "worker")
        s.execute(update(ServiceVersion).values(seen_at=now() - microseconds(SEEN_SECONDS / 2)))
        before = s.scalar(select(ServiceVersion.seen_at))
        versions.record_alive(s, "worker")
        assert s.scalar(select(ServiceVersion.seen_at)) == before
        s.execute(update(ServiceVersion).values(seen_at=now() - microseconds(2 * SEEN_SECONDS)))
        versions.record_alive(s, "worker")
        assert (s.scalar(select(ServiceVersion.seen_at)) or 0) > read_clock(s) - microseconds(SEEN_SECONDS)


def test_job_waits_for_its_version_where_no_worker_can_train_it(database: Database) -> None:
    with database.begin() as s:
        own, newer = a_job(s, Scope("ann")), a_job(s, Scope("ann"), release=A_NEWER_RELEASE)
        assert versions.awaited_versions(s, [own, newer]) == {newer.id: "99.0.0"}
        versions.record_start(s, "worker", AN_OLDER_RELEASE)
        assert versions.awaited_versions(s, [own, newer]) == {own.id: THIS.version, newer.id: "99.0.0"}
        assert versions.waiting_jobs(s, EVERYTHING) == [WaitingJobs(THIS.version, 1), WaitingJobs("99.0.0", 1)]
        assert versions.waiting_jobs(s, Scope("bob")) == []
        versions.record_start(s, "worker", A_NEWER_RELEASE)
        assert versions.awaited_versions(s, [own, newer]) == {}
        assert versions.waiting_jobs(s, EVERYTHING) == []


@pytest.mark.parametrize(("vocabulary", "arithmetic"), [(1, 0), (0, 1)])
def test_worker_claims_no_job_whose_numbers_are_higher(database: Database, vocabulary: int, arithmetic: int) -> None:
    release = Release("9.0.0", THIS.vocabulary + vocabulary, THIS.arithmetic + arithmetic)
    with database.begin() as s:
        high = a_job(s, priority=5, release=release)
        own = a_job(s)
        claims = [leases.claim(s, "w", LEASE_SECONDS) for _ in range(2)]
        assert [job and job.id for job in claims] == [own.id, None]
        claimed = leases.claim(s, "w", LEASE_SECONDS, release=release)
        assert claimed is not None
        assert (claimed.id, claimed.version) == (high.id, "9.0.0")


def test_claim_gives_the_job_the_numbers_of_the_worker(database: Database) -> None:
    with database.begin() as s:
        job = a_job(s, release=AN_OLDER_RELEASE)
        claimed = leases.claim(s, "newer", LEASE_SECONDS)
        assert claimed is not None
        assert (claimed.id, claimed.version, claimed.vocabulary, claimed.arithmetic) == (job.id, *THIS)
        leases.requeue_lost(s, claimed.id, claimed.fence, message="lost")
        assert leases.claim(s, "older", LEASE_SECONDS, release=AN_OLDER_RELEASE) is None
        again = leases.claim(s, "newest", LEASE_SECONDS, release=THIS._replace(version="9.9.9"))
        assert again is not None
        assert again.version == THIS.version, "the oldest version that can train it"
