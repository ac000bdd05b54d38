"""Errors of the store. Each is named for the fact; its docstring is the message that a client or operator reads.

StoreError
├── NoSuchJob, NoSuchCheckpoint, NoSuchDataset
├── WrongState, DatasetInUse, KeyReused, KeyInProgress
├── TooManyJobs, QueueTooLarge, LimitReached
├── Fenced
├── BadCursor
├── WrongRevision, OlderVersion
└── NetworkFileSystem
"""

import sqlite3
from collections.abc import Sequence
from typing import Any

from sqlalchemy.exc import InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from core.blobs.errors import BlobStoreUnavailable

UNREACHABLE_DATABASE_ERRORS = (OperationalError, InterfaceError, InternalError)
"""The database cannot be reached, is restarting, or ended the session.

PostgreSQL reports an internal error if it ended a session that was idle in a transaction, such as that of a suspended
worker.
"""
TRANSIENT_DATABASE_ERRORS = (*UNREACHABLE_DATABASE_ERRORS, PoolTimeout)
"""Errors after which to try again; a timeout of the pool says that all connections are in use.

Whether the transaction was committed is unknown: its answer may be lost.
"""
TRANSIENT_STORAGE_ERRORS = (*TRANSIENT_DATABASE_ERRORS, BlobStoreUnavailable)
"""Errors of the database or the bucket after which to try again."""
POSTGRES_DISK_FULL = "53100"
POSTGRES_READ_ONLY = "25006"


class StoreError(Exception):
    """The store cannot do that."""

    def __init__(self, **facts: Any) -> None:
        super().__init__((type(self).__doc__ or "").format(**facts))
        self.__dict__.update(facts)


class NoSuchJob(StoreError):
    """There is no job {job_id}."""

    def __init__(self, job_id: str) -> None:
        super().__init__(job_id=job_id)


class NoSuchCheckpoint(StoreError):
    """There is no checkpoint {checkpoint_id}."""

    def __init__(self, checkpoint_id: str) -> None:
        super().__init__(checkpoint_id=checkpoint_id)


class NoSuchDataset(StoreError):
    """There is no dataset {dataset_id}."""

    def __init__(self, dataset_id: str) -> None:
        super().__init__(dataset_id=dataset_id)


class WrongState(StoreError):
    """Job {job_id} is {status} and cannot be {wanted}."""

    status: str
    wanted: str

    def __init__(self, job_id: str, status: str, wanted: str) -> None:
        super().__init__(job_id=job_id, status=status, wanted=wanted)


class DatasetInUse(StoreError):
    """Job {job_id} needs dataset {dataset_id}: cancel the job or wait until it has ended, then delete the dataset."""

    def __init__(self, dataset_id: str, job_id: str) -> None:
        super().__init__(dataset_id=dataset_id, job_id=job_id)


class KeyReused(StoreError):
    """The idempotency key {key!r} was used with a different request body: use a new key for a new request."""

    def __init__(self, key: str) -> None:
        super().__init__(key=key)


class KeyInProgress(StoreError):
    """A request with the idempotency key {key!r} is still in progress: repeat this request in a moment."""

    def __init__(self, key: str) -> None:
        super().__init__(key=key)


class TooManyJobs(StoreError):
    """The queue is full with {most:,} jobs: repeat this request when some have started, or cancel queued jobs."""

    def __init__(self, most: int) -> None:
        super().__init__(most=most)


class QueueTooLarge(StoreError):
    """The specs of queued and paused jobs have {used:,} bytes, and {limit:,} are allowed.

    Repeat this request when some jobs have started, or cancel queued jobs. Data that several jobs train on takes its
    room once if it is uploaded as a dataset.
    """

    def __init__(self, used: int, limit: int) -> None:
        super().__init__(used=used, limit=limit)


class LimitReached(StoreError):
    """{used:,} of {limit:,} {unit} are in use, and this request needs {added:,}: {remedy}, or raise {variable}."""

    def __init__(
        self, name: str, unit: str, used: int, added: int, limit: int, deletable: Sequence[tuple[str, int]]
    ) -> None:
        noun = "datasets that no job needs" if name in {"datasets", "dataset_bytes"} else "ended jobs"
        sizes = name not in {"jobs", "datasets"}
        listed = ", ".join(f"{row} ({amount:,})" if sizes else row for row, amount in deletable)
        remedy = f"delete {noun}, such as {listed}" if listed else "wait until jobs have ended, or cancel some"
        variable = f"CHAINRULE_MAX_{name.upper()}"
        super().__init__(
            unit=unit, used=used, added=added, limit=limit, deletable=deletable, remedy=remedy, variable=variable
        )


class Fenced(StoreError):
    """The lease on job {job_id} under fence {fence} is lost: stop, write nothing and delete nothing."""

    def __init__(self, job_id: str, fence: int) -> None:
        super().__init__(job_id=job_id, fence=fence)


class BadCursor(StoreError):
    """The cursor is not one that this list returned: omit it to start from the first page."""


class WrongRevision(StoreError):
    """The database is at migration {found}, this program needs {wanted}: run `chainrule migrate`."""

    def __init__(self, found: str | None, wanted: str) -> None:
        super().__init__(found=found or "none", wanted=wanted)


class OlderVersion(StoreError):
    """Version {newest} has used the database, and this is {own}: start {newest}, or set CHAINRULE_ALLOW_OLDER=1."""

    def __init__(self, own: str, newest: str) -> None:
        super().__init__(own=own, newest=newest)


class NetworkFileSystem(StoreError):
    """{path} is on a network file system ({kind}), where SQLite loses data.

    Set CHAINRULE_DATA_DIR to a local folder, or CHAINRULE_DATABASE_URL to a PostgreSQL server.
    """

    def __init__(self, path: str, kind: str) -> None:
        super().__init__(path=path, kind=kind)


def storage_is_read_only(error: Exception) -> bool:
    """Return whether the database may be read only: its file or disk, or a PostgreSQL server that is in recovery."""
    cause = getattr(error, "orig", None)
    read_only = (getattr(cause, "sqlite_errorcode", 0) & 0xFF) == sqlite3.SQLITE_READONLY  # without its subcode
    return read_only or getattr(cause, "sqlstate", None) == POSTGRES_READ_ONLY


def storage_is_full(error: Exception) -> bool:
    """Return whether the database refused a statement because its disk is full; it rolls the transaction back then."""
    cause = getattr(error, "orig", None)
    full = getattr(cause, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
    return full or getattr(cause, "sqlstate", None) == POSTGRES_DISK_FULL
