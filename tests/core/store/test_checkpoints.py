"""Recording, discarding and pruning checkpoints."""

import pytest

from core.store import checkpoints, jobs
from core.store.database import Database
from core.store.errors import Fenced, NoSuchCheckpoint
from core.store.guards import FencingToken
from core.store.scope import EVERYTHING
from tests.builders import a_checkpoint, a_claim, a_guard, sha


@pytest.fixture
def token(database: Database) -> FencingToken:
    with database.begin() as s:
        return a_guard(s, a_claim(s)).token


def test_record_makes_the_checkpoint_the_one_to_resume_from(database: Database, token: FencingToken) -> None:
    with database.begin() as s:
        made = a_checkpoint(s, token, step=4, metrics={"loss": float("nan")}, weights_sha256=sha("e"))
    with database.read() as s:
        job = jobs.get(s, EVERYTHING, token.job_id)
        assert (job.checkpoint_id, job.weights_sha256) == (made.id, sha("e"))
        latest = checkpoints.latest(s, token.job_id)
        assert latest is not None
        assert (latest.id, latest.step, latest.metrics, latest.reason) == (made.id, 4, {"loss": "nan"}, "epoch")
        assert checkpoints.get(s, EVERYTHING, made.id).id == made.id


def test_latest_of_a_new_job_is_none(database: Database, token: FencingToken) -> None:
    with database.read() as s:
        assert checkpoints.latest(s, token.job_id) is None
        assert checkpoints.of_job(s, EVERYTHING, token.job_id) == []


def test_get_of_an_unknown_checkpoint_raises(database: Database) -> None:
    with database.read() as s, pytest.raises(NoSuchCheckpoint, match="no checkpoint ckpt_gone"):
        checkpoints.get(s, EVERYTHING, "ckpt_gone")


def test_discard_returns_to_the_previous_checkpoint(database: Database, token: FencingToken) -> None:
    with database.begin() as s:
        first = a_checkpoint(s, token, step=1, weights_sha256=sha("1"))
        second = a_checkpoint(s, token, step=2, weights_sha256=sha("2"))
        previous = checkpoints.discard(s, token, second.id)
        assert previous is not None
        assert previous.id == first.id
        job = jobs.get(s, EVERYTHING, token.job_id)
        assert (job.checkpoint_id, job.weights_sha256) == (first.id, sha("1"))
        assert checkpoints.discard(s, token, first.id) is None
        job = jobs.get(s, EVERYTHING, token.job_id)
        assert (job.checkpoint_id, job.weights_sha256) == (None, None)


def test_discard_with_an_invalid_token_raises_and_deletes_nothing(database: Database, token: FencingToken) -> None:
    with database.begin() as s:
        kept = a_checkpoint(s, token)
    with pytest.raises(Fenced), database.begin() as s:
        checkpoints.discard(s, FencingToken(token.job_id, token.fence + 1, token.writes), kept.id)
    with database.read() as s:
        assert checkpoints.get(s, EVERYTHING, kept.id).id == kept.id


def test_prune_keeps_the_newest_two(database: Database, token: FencingToken) -> None:
    with database.begin() as s:
        made = [a_checkpoint(s, token, step=step, sha256=sha(str(step))) for step in (1, 2, 3, 3)]
        for _ in range(2):
            checkpoints.prune(s, token.job_id)
            assert [c.id for c in checkpoints.of_job(s, EVERYTHING, token.job_id)] == [made[3].id, made[2].id]
