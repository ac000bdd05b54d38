"""The lease collector: it requeues jobs of lost workers and notifies workers of unclaimed jobs."""

import pytest
from sqlalchemy import text

from api.services.lease_collector import collect_leases
from core.store import leases
from tests.api.conftest import Api


def test_expired_lease_is_requeued_and_workers_are_notified(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    job = api.post()["id"]
    database = api.services.database
    with database.begin() as s:
        while (claimed := leases.claim(s, "gone", 60.0)) is not None and claimed.id != job:
            pass
    with database.begin() as s:
        s.execute(text("UPDATE jobs SET lease_until = 0, notified_at = NULL WHERE id = :id"), {"id": job})
    notifications: list[bool] = []

    class Notifier:
        def notify(self) -> bool:
            notifications.append(True)
            return True

    collect_leases(database, Notifier())  # type: ignore[arg-type]
    assert api.job(job)["status"] == "queued"
    assert notifications == [True]
    with database.begin() as s:
        s.execute(text("UPDATE jobs SET due_at = 0 WHERE id = :id"), {"id": job})
    for _ in range(3):  # it notifies once of an unclaimed job, and not again within the interval
        collect_leases(database, Notifier())  # type: ignore[arg-type]
    assert notifications == [True, True]
    assert [one["status"] for one in api.job(job)["transitions"]] == ["queued", "running", "queued"]
