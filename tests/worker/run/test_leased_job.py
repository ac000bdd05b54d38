"""A leased job over a Postgres that ends the session of a worker which slept in a transaction."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from core.blobs.folder import FolderBlobs
from core.store import events, leases
from core.store.database import open_database
from core.store.errors import TRANSIENT_STORAGE_ERRORS
from core.store.guards import token_of
from tests.worker.jobs import a_spec, metric_rows, post
from tests.worker.run.test_writer import LEASE_SECONDS, rows
from worker.run.leased_job import LeasedJob
from worker.run.write_batch import WriteBatch


def test_session_ended_while_idle_in_a_transaction_costs_no_row(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database, admin = open_database(postgres_url), open_database(postgres_url)
    job_id = post(database, a_spec())
    with database.begin() as s:
        claimed = leases.claim(s, "me", LEASE_SECONDS)
    assert claimed is not None
    leased_job = LeasedJob(database, FolderBlobs(tmp_path), token_of(claimed), "me", LEASE_SECONDS)
    append = events.append
    backends: list[int] = []

    def sleep_after_append(s: Session, *arguments: Any, **options: Any) -> None:
        append(s, *arguments, **options)
        if not backends:
            backends.append(s.scalars(text("SELECT pg_backend_pid()")).one())
            s.execute(text("SET LOCAL idle_in_transaction_session_timeout = 1"))
            alive = text("SELECT count(*) FROM pg_stat_activity WHERE pid = :pid")
            with admin.read() as other:
                while other.execute(alive, {"pid": backends[0]}).scalar_one():
                    pass
            s.execute(text("SELECT 1"))

    monkeypatch.setattr(events, "append", sleep_after_append)
    batch = WriteBatch(rows(1, 2))
    with pytest.raises(TRANSIENT_STORAGE_ERRORS):
        leased_job.write(batch)
    leased_job.write(batch)
    assert len(backends) == 1
    assert metric_rows(database, job_id) == rows(1, 2)
    database.close()
    admin.close()
