"""A held job over a Postgres that ends the session of a worker which slept in a transaction."""

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from core.store import leases
from core.store.database import open_sessions
from core.store.guards import Guarded, hold_of
from tests.worker.jobs import a_spec, post, stream
from tests.worker.run.test_writer import LEASE, rows
from worker.run.leased_job import AWAY, Held, Portion


def test_a_session_that_was_ended_for_sleeping_costs_no_row(postgres_url: str) -> None:
    sessions, admin = open_sessions(postgres_url), open_sessions(postgres_url)
    job_id = post(sessions, a_spec())
    with sessions.begin() as s:
        claimed = leases.claim(s, "me", LEASE)
    assert claimed is not None
    held = Held(sessions, hold_of(claimed), "me", LEASE)
    slept: list[int] = []

    def sleep(s: Session, _guarded: Guarded) -> None:
        if not slept:
            slept.append(s.scalars(text("SELECT pg_backend_pid()")).one())
            s.execute(text("SET LOCAL idle_in_transaction_session_timeout = 1"))
            alive = text("SELECT count(*) FROM pg_stat_activity WHERE pid = :pid")
            with admin.read() as other:
                while other.execute(alive, {"pid": slept[0]}).scalar_one():
                    pass
            s.execute(text("SELECT 1"))

    portion = Portion(rows(1, 2), then=sleep)
    with pytest.raises(AWAY):
        held.write(portion)
    held.write(portion)
    assert stream(sessions, job_id) == rows(1, 2)
    sessions.close()
    admin.close()
