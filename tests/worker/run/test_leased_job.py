"""A held job over a Postgres that ends the session of a worker which slept in a transaction."""

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from core.store import leases
from core.store.database import open_database
from core.store.guards import GuardedWrite, token_of
from tests.worker.jobs import a_spec, post, stream
from tests.worker.run.test_writer import LEASE, rows
from worker.run.leased_job import AWAY, LeasedJob, WriteBatch


def test_a_session_that_was_ended_for_sleeping_costs_no_row(postgres_url: str) -> None:
    database, admin = open_database(postgres_url), open_database(postgres_url)
    job_id = post(database, a_spec())
    with database.begin() as s:
        claimed = leases.claim(s, "me", LEASE)
    assert claimed is not None
    leased_job = LeasedJob(database, token_of(claimed), "me", LEASE)
    slept: list[int] = []

    def sleep(s: Session, _guarded: GuardedWrite) -> None:
        if not slept:
            slept.append(s.scalars(text("SELECT pg_backend_pid()")).one())
            s.execute(text("SET LOCAL idle_in_transaction_session_timeout = 1"))
            alive = text("SELECT count(*) FROM pg_stat_activity WHERE pid = :pid")
            with admin.read() as other:
                while other.execute(alive, {"pid": slept[0]}).scalar_one():
                    pass
            s.execute(text("SELECT 1"))

    write_batch = WriteBatch(rows(1, 2), then=sleep)
    with pytest.raises(AWAY):
        leased_job.write(write_batch)
    leased_job.write(write_batch)
    assert stream(database, job_id) == rows(1, 2)
    database.close()
    admin.close()
