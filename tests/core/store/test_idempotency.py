"""Responses stored by idempotency key."""

import pytest
from sqlalchemy import update

from core.store import idempotency, jobs
from core.store.database import Database
from core.store.errors import KeyInProgress, KeyReused
from core.store.idempotency import StoredResponse
from core.store.scope import EVERYTHING, Scope
from core.store.tables import IdempotencyKey
from tests.builders import a_job, sha


def test_reserve_of_a_stored_key_returns_the_response(database: Database) -> None:
    with database.begin() as s:
        assert idempotency.reserve(s, EVERYTHING, "key", sha("a")) is None
        job_id = a_job(s).id
        idempotency.store_response(s, EVERYTHING, "key", job_id=job_id, status=201, response='{"id": 1}')
    with database.begin() as s:
        assert idempotency.reserve(s, EVERYTHING, "key", sha("a")) == StoredResponse(job_id, 201, '{"id": 1}')


def test_reserve_with_another_body_raises(database: Database) -> None:
    with database.begin() as s:
        idempotency.reserve(s, EVERYTHING, "key", sha("a"))
        idempotency.store_response(s, EVERYTHING, "key", job_id=None, status=201, response="{}")
        with pytest.raises(KeyReused, match="'key' was used with a different request body"):
            idempotency.reserve(s, EVERYTHING, "key", sha("b"))


def test_reserve_of_another_owner_is_a_new_key(database: Database) -> None:
    with database.begin() as s:
        assert idempotency.reserve(s, Scope("ann"), "key", sha("a")) is None
        assert idempotency.reserve(s, Scope("bob"), "key", sha("b")) is None


def test_reserve_is_undone_by_a_rollback(database: Database) -> None:
    def fail() -> None:
        with database.begin() as s:
            idempotency.reserve(s, EVERYTHING, "key", sha("a"))
            a_job(s)
            raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        fail()
    with database.begin() as s:
        assert idempotency.reserve(s, EVERYTHING, "key", sha("a")) is None
        assert jobs.page(s, EVERYTHING) == ([], None)


def test_reserve_of_a_key_without_a_response_raises(database: Database) -> None:
    with database.begin() as s:
        idempotency.reserve(s, EVERYTHING, "key", sha("a"))
    with database.begin() as s, pytest.raises(KeyInProgress, match="repeat this request in a moment"):
        idempotency.reserve(s, EVERYTHING, "key", sha("a"))


def test_reserve_during_another_transaction_raises_at_once(database: Database) -> None:
    if database.engine.dialect.name == "sqlite":
        return  # SQLite has one writer at a time
    with database.begin() as s, database.begin() as other:
        idempotency.reserve(s, EVERYTHING, "key", sha("a"))
        with pytest.raises(KeyInProgress):
            idempotency.reserve(other, EVERYTHING, "key", sha("a"))
        assert idempotency.reserve(other, EVERYTHING, "another", sha("a")) is None


def test_delete_older_than_deletes_old_keys_only(database: Database) -> None:
    with database.begin() as s:
        for key in ("old", "new"):
            idempotency.reserve(s, EVERYTHING, key, sha("a"))
        s.execute(update(IdempotencyKey).where(IdempotencyKey.key == "old").values(created_at=1))
        assert idempotency.delete_older_than(s, 60.0) == 1
        assert idempotency.reserve(s, EVERYTHING, "old", sha("b")) is None
