"""Limit how many jobs of an owner may wait, and the bytes of their specs.

So clients cannot fill the database faster than workers train. Paused jobs count, since each may be queued again at
any time.
"""

from typing import Any, NamedTuple

from sqlalchemy import Boolean, func, literal, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction

from core.jobs.states import Status
from core.store.errors import QueueTooLarge, TooManyJobs
from core.store.scope import Scope
from core.store.tables import Job


class TransactionLock(GenericFunction[bool]):
    """Take the exclusive lock of a name until the end of the transaction; wait while another transaction has it."""

    type = Boolean()
    inherit_cache = True
    name = "chainrule_lock"


WAITING = sorted([Status.QUEUED, Status.PAUSED])


class QueueLimits(NamedTuple):
    """How many jobs of an owner may be queued or paused, and the bytes of their specs."""

    jobs: int
    spec_bytes: int


def admit(s: Session, scope: Scope, limits: QueueLimits, spec_bytes: int) -> None:
    """Check that one more job may be queued, in the transaction that inserts it.

    Transactions that insert jobs of the same owner wait for each other, so that two cannot take the last place.

    Raises
    ------
    TooManyJobs
        If as many jobs as are allowed wait already.
    QueueTooLarge
        If the specs of the waiting jobs have too many bytes with this one.
    """
    s.execute(select(TransactionLock(literal(f"queue {scope.owner_of_new()}"))))
    require_place(s, scope, limits, spec_bytes)


def require_place(s: Session, scope: Scope, limits: QueueLimits, spec_bytes: int) -> None:
    """Check the same without the lock, before anything is stored for the job. Raises as `admit`."""
    jobs, used = s.execute(_waiting(scope, limits.jobs)).one()
    if jobs >= limits.jobs:
        raise TooManyJobs(limits.jobs)
    if used + spec_bytes > limits.spec_bytes:
        raise QueueTooLarge(used, limits.spec_bytes)


def _waiting(scope: Scope, most: int) -> Any:
    """Return the statement of the number of waiting jobs, up to `most`, and the bytes of their specs."""
    waiting = select(Job.spec_bytes).where(Job.status.in_(WAITING), Job.owner == scope.owner_of_new()).limit(most)
    rows = waiting.subquery()
    return select(func.count(), func.coalesce(func.sum(rows.c.spec_bytes), 0)).select_from(rows)


@compiles(TransactionLock, "sqlite")
def _sqlite(_element: TransactionLock, _compiler: SQLCompiler, **_options: object) -> str:
    return "1"  # SQLite has one writer at a time


@compiles(TransactionLock, "postgresql")
def _postgresql(element: TransactionLock, compiler: SQLCompiler, **options: object) -> str:
    # The function returns void, which cannot be selected as a Boolean; the comparison makes it one.
    return f"pg_advisory_xact_lock(hashtextextended({compiler.process(element.clauses, **options)}, 0)) IS NOT NULL"
