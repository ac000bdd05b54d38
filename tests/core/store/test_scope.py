"""A client outside a row's scope cannot see, change or delete it."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

import core.store
from core.jobs.states import Status, StopReason
from core.store import (
    admission,
    checkpoints,
    counts,
    datasets,
    events,
    idempotency,
    jobs,
    leases,
    predictions,
    totals,
    transitions,
    versions,
    warm_starts,
)
from core.store.admission import QueueLimits
from core.store.database import Database
from core.store.errors import NoSuchCheckpoint, NoSuchDataset, NoSuchJob, StoreError
from core.store.guards import token_of
from core.store.scope import DEFAULT_OWNER, EVERYTHING, Scope
from core.store.tables import Base, Dataset, Job
from core.store.totals import Amounts
from tests.builders import A_NEWER_RELEASE, LEASE_SECONDS, a_checkpoint, a_dataset, a_job, a_row, sha

OWN, FOREIGN = Scope("ann"), Scope("bob")
KEY = "key"


@dataclass(frozen=True)
class Rows:
    """Ids of the rows of `OWN`."""

    ended: str
    queued: str
    paused: str
    checkpoint: str
    dataset: str


@pytest.fixture
def rows(database: Database) -> Rows:
    with database.begin() as s:
        ended = a_job(s, OWN, metadata={"a": "b"})
        claimed = leases.claim(s, "w1", LEASE_SECONDS)
        assert claimed is not None
        guarded = leases.guard(s, token_of(claimed), lease_seconds=LEASE_SECONDS, events=1, recorded=1)
        events.append(s, guarded, [a_row()])
        checkpoint = a_checkpoint(s, guarded.token)
        done = StopReason.EPOCHS_COMPLETED
        leases.release(s, guarded.token, Status.SUCCEEDED, message="done", actor="w1", stop_reason=done)
        paused = jobs.pause(s, OWN, a_job(s, OWN).id)
        queued = a_job(s, OWN, release=A_NEWER_RELEASE)
        idempotency.reserve(s, OWN, KEY, sha("a"))
        idempotency.store_response(s, OWN, KEY, job_id=queued.id, status=201, response="{}")
        return Rows(ended.id, queued.id, paused.id, checkpoint.id, a_dataset(s, OWN).id)


@dataclass(frozen=True)
class Case:
    """A call of one function, and what it returns or raises in a foreign scope."""

    call: Callable[[Session, Scope, Rows], object]
    foreign: object


def _job(function: Callable[..., object], field: str, foreign: object = NoSuchJob, *more: Any, **given: Any) -> Case:
    return Case(lambda s, scope, rows: function(s, scope, getattr(rows, field), *more, **given), foreign)


def _new_dataset(s: Session, scope: Scope, _: Rows) -> object:
    columns: dict[str, Any] = {"columns": []}
    given: dict[str, Any] = {"name": "n", "format": "csv", "sha256": sha("a"), "bytes": 3, "rows": 1}
    return datasets.insert(s, scope, fingerprint=sha("a"), columns=columns, **given)[1]


def _batches(s: Session, scope: Scope, rows: Rows) -> object:
    return [row for batch in events.metric_batches(s, scope, rows.ended, after=0, until=99) for row in batch]


CASES: dict[str, Case] = {
    "admission.admit": Case(lambda s, scope, _: admission.admit(s, scope, QueueLimits(1, 100), 2), None),
    "admission.require_place": Case(lambda s, scope, _: admission.require_place(s, scope, QueueLimits(1, 9), 2), None),
    "checkpoints.get": _job(checkpoints.get, "checkpoint", NoSuchCheckpoint),
    "checkpoints.of_job": _job(checkpoints.of_job, "ended", []),
    "counts.by_status": Case(lambda s, scope, _: counts.by_status(s, scope), dict.fromkeys(Status, 0)),
    "counts.queue_depth": Case(lambda s, scope, _: counts.queue_depth(s, scope), 0),
    "datasets.delete": _job(datasets.delete, "dataset", NoSuchDataset),
    "datasets.get": _job(datasets.get, "dataset", NoSuchDataset),
    "datasets.insert": Case(_new_dataset, foreign=True),
    "datasets.lock": _job(datasets.lock, "dataset", NoSuchDataset),
    "datasets.page": Case(lambda s, scope, _: datasets.page(s, scope), ([], None)),
    "events.after": _job(events.after, "ended", [], 0),
    "events.by_seq": _job(events.by_seq, "ended", [], [1, 2, 3]),
    "events.heads": Case(lambda s, scope, rows: events.heads(s, scope, [rows.ended]), {}),
    "events.metric_batches": Case(_batches, []),
    "events.metric_counts": _job(events.metric_counts, "ended", {}, after=0, until=99),
    "events.metrics": _job(events.metrics, "ended", []),
    "idempotency.reserve": Case(lambda s, scope, _: idempotency.reserve(s, scope, KEY, sha("a")), None),
    "idempotency.store_response": Case(
        lambda s, scope, _: idempotency.store_response(s, scope, KEY, job_id=None, status=500, response="no"), None
    ),
    "jobs.cancel": _job(jobs.cancel, "queued"),
    "jobs.delete": _job(jobs.delete, "ended"),
    "jobs.exists": _job(jobs.exists, "ended", foreign=False),
    "jobs.get": _job(jobs.get, "ended"),
    "jobs.insert": Case(lambda s, scope, rows: a_job(s, scope, dataset_id=rows.dataset), NoSuchDataset),
    "jobs.page": Case(lambda s, scope, _: jobs.page(s, scope), ([], None)),
    "jobs.pause": _job(jobs.pause, "queued"),
    "jobs.resume": _job(jobs.resume, "paused"),
    "jobs.spec": _job(jobs.spec, "ended"),
    "jobs.transitions": _job(jobs.transitions, "ended", []),
    "jobs.with_spec": _job(jobs.with_spec, "ended"),
    "predictions.serving_checkpoint": Case(
        lambda s, scope, rows: predictions.serving_checkpoint(s.connection(), scope, rows.ended), NoSuchJob
    ),
    "totals.require_room": Case(lambda s, scope, _: totals.require_room(s, scope, Amounts(3), Amounts(1)), None),
    "transitions.lock_job": _job(transitions.lock_job, "ended"),
    "versions.waiting_jobs": Case(lambda s, scope, _: versions.waiting_jobs(s, scope), []),
    "warm_starts.lock_checkpoint": _job(warm_starts.lock_checkpoint, "checkpoint", NoSuchCheckpoint),
}

WORKER = "called by workers, guarded by a fencing token or a lease"
OPERATOR = "called by operators and the service itself, for all owners"
NO_QUERY = "builds a value or an SQL expression, or queries no rows of clients"
WITHOUT_SCOPE: dict[str, dict[str, list[str]]] = {
    WORKER: {
        "checkpoints": ["discard", "latest", "prune", "record", "warm_start_of"],
        "counts": ["add"],
        "events": ["append", "stored_rows"],
        "leases": [
            "ask_to_yield",
            "claim",
            "claimed_by",
            "guard",
            "log_too_large",
            "notification_due",
            "record_message",
            "release",
            "renew",
            "requeue_expired",
            "requeue_lost",
            "resolve_commit",
        ],
    },
    OPERATOR: {
        "versions": ["live_workers", "record_alive", "record_start", "record_stop", "require_not_older", "start"],
        "backup": ["snapshot"],
        "counts": ["total"],
        "doctor": ["blob_references", "count_jobs", "file_damage", "inconsistencies", "is_referenced"],
        "garbage": ["collect"],
        "idempotency": ["delete_older_than"],
        "specs": ["put", "read_text"],
        "totals": ["counted", "of_all", "recount", "stored"],
        "writable": ["check_writable"],
        "migrate": ["config", "configure", "drift", "require_head", "revision_state", "upgrade"],
    },
    "gets its rows from a caller that has checked the scope": {
        "pagination": ["page_of"],
        "totals": ["add", "of_dataset", "of_job", "settle"],
        "transitions": ["change_status", "record_transition"],
        "versions": ["awaited_versions"],
        "warm_starts": ["continuation_of", "copy_checkpoint", "start_of"],
    },
    NO_QUERY: {
        "clock": ["is_far_ahead", "is_past", "microseconds", "now", "read_clock"],
        "database": ["dumps", "nonfinite_name", "open_database"],
        "errors": ["storage_is_full", "storage_is_read_only"],
        "guards": ["token_is_valid", "token_of"],
    },
}


def public_functions() -> dict[str, Callable[..., object]]:
    """Return the public functions of all modules of core.store, by module and name."""
    found: dict[str, Callable[..., object]] = {}
    for info in pkgutil.iter_modules(core.store.__path__):
        module = importlib.import_module(f"core.store.{info.name}")
        for name, function in inspect.getmembers(module, inspect.isfunction):
            if function.__module__ == module.__name__ and not name.startswith("_"):
                found[f"{info.name}.{name}"] = function
    return found


def test_every_public_function_takes_a_scope_or_is_listed_with_a_reason() -> None:
    scoped = {name for name, function in public_functions().items() if _scope_parameter(function)}
    listed = [f"{module}.{name}" for table in WITHOUT_SCOPE.values() for module in table for name in table[module]]
    assert sorted([*scoped, *listed]) == sorted(public_functions())
    assert sorted(scoped) == sorted(CASES)


@pytest.mark.parametrize("name", CASES)
def test_scope_parameter_is_required(name: str) -> None:
    parameter = _scope_parameter(public_functions()[name])
    assert parameter is not None
    assert parameter.annotation is Scope
    assert parameter.default is inspect.Parameter.empty


def _scope_parameter(function: Callable[..., object]) -> inspect.Parameter | None:
    return inspect.signature(function).parameters.get("scope")


@pytest.mark.parametrize("name", CASES)
def test_foreign_scope_sees_and_changes_nothing(database: Database, rows: Rows, name: str) -> None:
    before = _rows_of_own(database)
    with database.begin() as s:
        assert _outcome(s, FOREIGN, rows, name) == CASES[name].foreign
    assert _rows_of_own(database) == before


@pytest.mark.parametrize("name", CASES)
def test_own_scope_sees_or_changes_rows(database: Database, rows: Rows, name: str) -> None:
    before = _rows_of_own(database)
    with database.begin() as s:
        outcome = _outcome(s, OWN, rows, name)
    assert outcome != CASES[name].foreign or _rows_of_own(database) != before


@pytest.mark.parametrize("name", ["jobs.page", "jobs.get", "datasets.page", "counts.by_status", "events.metrics"])
def test_everything_sees_the_rows_of_all_owners(database: Database, rows: Rows, name: str) -> None:
    with database.begin() as s:
        assert _outcome(s, EVERYTHING, rows, name) != CASES[name].foreign


def _outcome(s: Session, scope: Scope, rows: Rows, name: str) -> object:
    """Return what the call returns, or the class of the error that it raises."""
    try:
        return CASES[name].call(s, scope, rows)
    except StoreError as error:
        return type(error)


def _rows_of_own(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """Return all rows of `OWN` by table."""
    with database.read() as s:
        ids = set(s.scalars(select(Job.id).where(Job.owner == OWN.owner)))
        found = {}
        for table in Base.metadata.sorted_tables:
            owned = table.c.owner == OWN.owner if "owner" in table.c else None
            if owned is None and "job_id" in table.c:
                owned = table.c.job_id.in_(ids)
            if owned is not None:
                found[table.name] = sorted((tuple(row) for row in s.execute(select(table).where(owned))), key=repr)
        return found


def test_insert_in_a_scope_stores_its_owner(database: Database) -> None:
    with database.begin() as s:
        assert a_job(s, OWN).owner == "ann"
        assert a_dataset(s, OWN).owner == "ann"
        assert a_job(s, EVERYTHING).owner == DEFAULT_OWNER
        assert a_job(s, EVERYTHING, owner="cyd").owner == "cyd"
        with pytest.raises(ValueError, match="cannot insert a row of owner 'bob'"):
            a_job(s, OWN, owner="bob")


def test_owners_with_the_same_file_have_datasets_of_their_own(database: Database) -> None:
    with database.begin() as s:
        own, foreign = a_dataset(s, OWN), a_dataset(s, FOREIGN)
        assert own.id != foreign.id
        assert a_dataset(s, OWN).id == own.id
        datasets.delete(s, FOREIGN, foreign.id)
        assert list(s.scalars(select(Dataset.id))) == [own.id]


def test_filters_of_a_list_stay_in_the_scope(database: Database, rows: Rows) -> None:
    with database.begin() as s:
        assert jobs.page(s, FOREIGN, statuses=[Status.SUCCEEDED], metadata={"a": "b"}, name="y = 2x") == ([], None)
        found, _ = jobs.page(s, OWN, statuses=[Status.SUCCEEDED], metadata={"a": "b"}, name="y = 2x")
        assert [job.id for job in found] == [rows.ended]
        mine = a_job(s, FOREIGN)
        assert [job.id for job in jobs.page(s, FOREIGN)[0]] == [mine.id]
        assert jobs.page(s, FOREIGN, limit=1)[1] is None
