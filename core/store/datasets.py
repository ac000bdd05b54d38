"""Uploaded datasets, each identified by its owner, its bytes and the types its columns are read as."""

from typing import Any

from sqlalchemy import delete as delete_from
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as insert_into  # compiles for SQLite too: the same ON CONFLICT
from sqlalchemy.orm import Session

from core.ids import new_id
from core.jobs.states import TERMINAL
from core.store import totals
from core.store.clock import now
from core.store.errors import DatasetInUse, NoSuchDataset
from core.store.pagination import page_of
from core.store.scope import Scope
from core.store.tables import Dataset, Job


def insert(
    s: Session,
    scope: Scope,
    *,
    name: str | None,
    format: str,  # noqa: A002 - the column's name
    sha256: str,
    fingerprint: str,
    bytes: int,  # noqa: A002 - the column's name
    rows: int,
    columns: dict[str, Any],
) -> tuple[Dataset, bool]:
    """Insert a dataset whose blob is stored; return it and True.

    Where the owner has a dataset of this fingerprint, return that one and False.
    """
    owner = scope.owner_of_new()
    statement = insert_into(Dataset).values(
        id=new_id("ds"),
        owner=owner,
        name=name,
        format=format,
        sha256=sha256,
        fingerprint=fingerprint,
        bytes=bytes,
        rows=rows,
        columns=columns,
        created_at=now(),
    )
    unique = statement.on_conflict_do_nothing(index_elements=["owner", "fingerprint"])
    made = s.scalars(unique.returning(Dataset)).one_or_none()
    if made is not None:
        totals.add(s, owner, totals.of_dataset(made))
        return made, True
    same = select(Dataset).where(Dataset.owner == owner, Dataset.fingerprint == fingerprint)
    return s.scalars(same).one(), False


def get(s: Session, scope: Scope, dataset_id: str) -> Dataset:
    """Return a dataset.

    Raises
    ------
    NoSuchDataset
        If it does not exist in the scope.
    """
    return _one(s, scope, dataset_id, lock=False)


def lock(s: Session, scope: Scope, dataset_id: str) -> Dataset:
    """Return a dataset, locked against deletion until this transaction ends.

    Raises
    ------
    NoSuchDataset
        If it does not exist in the scope.
    """
    return _one(s, scope, dataset_id, lock=True)


def page(s: Session, scope: Scope, *, limit: int = 20, cursor: str | None = None) -> tuple[list[Dataset], str | None]:
    """Return a page of datasets, newest first, and the cursor of the next page or None.

    Raises
    ------
    BadCursor
        If the cursor is not one that a page returned.
    """
    return page_of(s, select(Dataset).where(scope.includes(Dataset.owner)), Dataset.id, "ds", limit, cursor)


def delete(s: Session, scope: Scope, dataset_id: str) -> None:
    """Delete a dataset that no job needs; its blob becomes garbage unless another row references it.

    Raises
    ------
    NoSuchDataset
        If it does not exist in the scope.
    DatasetInUse
        If a job that has not ended trains on it.
    """
    dataset = lock(s, scope, dataset_id)
    needed = select(Job.id).where(Job.dataset_id == dataset_id, Job.status.not_in(sorted(TERMINAL))).limit(1)
    job_id = s.scalars(needed).one_or_none()
    if job_id is not None:
        raise DatasetInUse(dataset_id, job_id)
    s.execute(delete_from(Dataset).where(Dataset.id == dataset_id))
    totals.add(s, dataset.owner, totals.of_dataset(dataset).negative())


def _one(s: Session, scope: Scope, dataset_id: str, *, lock: bool) -> Dataset:
    statement = select(Dataset).where(Dataset.id == dataset_id, scope.includes(Dataset.owner))
    found = s.scalars(statement.with_for_update() if lock else statement).one_or_none()
    if found is None:
        raise NoSuchDataset(dataset_id)
    return found
