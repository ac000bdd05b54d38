"""A repeated request hears the first answer; one that failed left no trace; one under way is not waited for."""

import pytest
from sqlalchemy import update

from core.store import idempotency, jobs
from core.store.database import Database
from core.store.errors import KeyInProgress, KeyReused
from core.store.idempotency import StoredResponse
from core.store.scope import EVERYTHING, Scope
from core.store.tables import IdempotencyKey
from tests.builders import a_job, sha


def test_the_first_answer_is_heard_again(database: Database) -> None:
    with database.begin() as s:
        assert idempotency.reserve(s, EVERYTHING, "key", sha("a")) is None
        job_id = a_job(s).id
        idempotency.store_response(s, EVERYTHING, "key", job_id=job_id, status=201, response='{"id": 1}')
    with database.begin() as s:
        assert idempotency.reserve(s, EVERYTHING, "key", sha("a")) == StoredResponse(job_id, 201, '{"id": 1}')


def test_another_body_under_the_same_key_is_refused(database: Database) -> None:
    with database.begin() as s:
        idempotency.reserve(s, EVERYTHING, "key", sha("a"))
        idempotency.store_response(s, EVERYTHING, "key", job_id=None, status=201, response="{}")
        with pytest.raises(KeyReused, match="'key' was used with a different request body"):
            idempotency.reserve(s, EVERYTHING, "key", sha("b"))


def test_owners_have_keys_of_their_own(database: Database) -> None:
    with database.begin() as s:
        assert idempotency.reserve(s, Scope("ann"), "key", sha("a")) is None
        assert idempotency.reserve(s, Scope("bob"), "key", sha("b")) is None


def test_a_key_goes_with_its_transaction(database: Database) -> None:
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


def test_a_request_without_an_answer_is_in_progress(database: Database) -> None:
    with database.begin() as s:
        idempotency.reserve(s, EVERYTHING, "key", sha("a"))
    with database.begin() as s, pytest.raises(KeyInProgress, match="repeat this request in a moment"):
        idempotency.reserve(s, EVERYTHING, "key", sha("a"))


def test_a_request_under_way_is_not_waited_for(database: Database) -> None:
    if database.engine.dialect.name == "sqlite":
        return  # has one writer at a time: nobody is under way beside another
    with database.begin() as s, database.begin() as other:
        idempotency.reserve(s, EVERYTHING, "key", sha("a"))
        with pytest.raises(KeyInProgress):
            idempotency.reserve(other, EVERYTHING, "key", sha("a"))
        assert idempotency.reserve(other, EVERYTHING, "another", sha("a")) is None


def test_old_answers_are_forgotten(database: Database) -> None:
    with database.begin() as s:
        for key in ("old", "new"):
            idempotency.reserve(s, EVERYTHING, key, sha("a"))
        s.execute(update(IdempotencyKey).where(IdempotencyKey.key == "old").values(created_at=1))
        assert idempotency.delete_older_than(s, 60.0) == 1
        assert idempotency.reserve(s, EVERYTHING, "old", sha("b")) is None
