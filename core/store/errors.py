"""What the store can say instead of an answer. Each is named for the fact; its docstring is the message.

StoreError
├── NoSuchJob, NoSuchCheckpoint, NoSuchDataset
├── WrongState, DatasetInUse, KeyReused, KeyInProgress, TooManyJobs
├── Fenced
├── BadCursor
└── WrongRevision, NetworkFileSystem
"""

import sqlite3
from typing import Any

POSTGRES_DISK_FULL = "53100"


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
    """Dataset {dataset_id} is needed by job {job_id}: cancel that or wait for its end."""

    def __init__(self, dataset_id: str, job_id: str) -> None:
        super().__init__(dataset_id=dataset_id, job_id=job_id)


class KeyReused(StoreError):
    """The idempotency key {key!r} came with another body before: use a new key for a new request."""

    def __init__(self, key: str) -> None:
        super().__init__(key=key)


class KeyInProgress(StoreError):
    """A request with the idempotency key {key!r} is still in progress: repeat this one in a moment."""

    def __init__(self, key: str) -> None:
        super().__init__(key=key)


class TooManyJobs(StoreError):
    """There wait {most:,} jobs already, as many as may: post this one again when some have begun, or cancel some."""

    def __init__(self, most: int) -> None:
        super().__init__(most=most)


class Fenced(StoreError):
    """Job {job_id} is no longer held under fence {fence}: stop, write nothing, remove nothing."""

    def __init__(self, job_id: str, fence: int) -> None:
        super().__init__(job_id=job_id, fence=fence)


class BadCursor(StoreError):
    """The cursor is none that this list gave: begin again without one."""


class WrongRevision(StoreError):
    """The database is at migration {found}, this program needs {wanted}: run `chainrule migrate`."""

    def __init__(self, found: str | None, wanted: str) -> None:
        super().__init__(found=found or "none", wanted=wanted)


class NetworkFileSystem(StoreError):
    """{path} is on a network file system ({kind}), where SQLite loses data.

    Set CHAINRULE_DATA_DIR to a local folder, or CHAINRULE_DATABASE_URL to a PostgreSQL server.
    """

    def __init__(self, path: str, kind: str) -> None:
        super().__init__(path=path, kind=kind)


def storage_is_full(error: Exception) -> bool:
    """Whether the database refused a statement for want of room on its disk; its transaction is rolled back then."""
    cause = getattr(error, "orig", None)
    full = getattr(cause, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
    return full or getattr(cause, "sqlstate", None) == POSTGRES_DISK_FULL
