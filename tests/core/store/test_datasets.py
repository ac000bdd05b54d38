"""Datasets: identity by fingerprint, pages, and deletion."""

import threading

import pytest

from core.jobs.states import Status
from core.store import datasets, jobs, leases
from core.store.database import Database
from core.store.errors import DatasetInUse, NoSuchDataset
from core.store.scope import EVERYTHING
from tests.builders import a_claim, a_dataset, a_guard, a_job, sha


def test_insert_of_the_same_fingerprint_returns_the_first_dataset(database: Database) -> None:
    given = {"format": "csv", "sha256": sha("a"), "fingerprint": sha("f"), "bytes": 3, "rows": 1}
    given |= {"columns": {"columns": ["x"]}}
    with database.begin() as s:
        first, made = datasets.insert(s, EVERYTHING, name="one", **given)  # type: ignore[arg-type]
        again, made_again = datasets.insert(s, EVERYTHING, name="two", **given)  # type: ignore[arg-type]
    assert (made, made_again) == (True, False)
    assert again.id == first.id
    with database.read() as s:
        stored = datasets.get(s, EVERYTHING, first.id)
        assert (stored.name, stored.columns) == ("one", {"columns": ["x"]})


def test_insert_of_another_fingerprint_makes_another_dataset(database: Database) -> None:
    with database.begin() as s:
        one, other = (a_dataset(s, fingerprint=sha(letter)) for letter in "fg")
    assert one.id != other.id


def test_pages_list_newest_first(database: Database) -> None:
    with database.begin() as s:
        made = [a_dataset(s, sha256=sha(letter)).id for letter in "abc"]
        first, cursor = datasets.page(s, EVERYTHING, limit=2)
        rest, end = datasets.page(s, EVERYTHING, limit=2, cursor=cursor)
    assert [dataset.id for dataset in first + rest] == made[::-1]
    assert end is None


def test_delete_is_refused_while_a_job_needs_the_dataset(database: Database) -> None:
    with database.begin() as s:
        dataset = a_dataset(s)
        waiting = a_job(s, dataset_id=dataset.id)
        ran = a_claim(s, dataset_id=dataset.id)
        leases.release(s, a_guard(s, ran).token, Status.SUCCEEDED, message="done", actor="w1")
        with pytest.raises(DatasetInUse, match=f"Job {waiting.id} needs dataset {dataset.id}"):
            datasets.delete(s, EVERYTHING, dataset.id)
        jobs.cancel(s, EVERYTHING, waiting.id)
        datasets.delete(s, EVERYTHING, dataset.id)
        with pytest.raises(NoSuchDataset, match=dataset.id):
            datasets.get(s, EVERYTHING, dataset.id)
        with pytest.raises(NoSuchDataset):
            datasets.delete(s, EVERYTHING, dataset.id)


def test_delete_waits_for_a_transaction_that_inserts_a_job(database: Database) -> None:
    with database.begin() as s:
        dataset_id = a_dataset(s).id
    deleting = threading.Event()
    outcome: list[object] = []

    def delete() -> None:
        deleting.set()
        try:
            with database.begin() as s:
                datasets.delete(s, EVERYTHING, dataset_id)
            outcome.append("deleted")
        except DatasetInUse as error:
            outcome.append(error)

    thread = threading.Thread(target=delete)
    with database.begin() as s:
        a_job(s, dataset_id=dataset_id)
        thread.start()
        deleting.wait()
        assert outcome == []
    thread.join()
    assert isinstance(outcome[0], DatasetInUse)
