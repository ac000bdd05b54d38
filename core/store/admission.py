"""Limit how many jobs of an owner may be queued, so that clients cannot fill the database faster than workers train."""

from sqlalchemy import Boolean, func, literal, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction

from core.jobs.states import Status
from core.store.errors import TooManyJobs
from core.store.scope import Scope
from core.store.tables import Job


class TransactionLock(GenericFunction[bool]):
    """Take the exclusive lock of a name until the end of the transaction; wait while another transaction has it."""

    type = Boolean()
    inherit_cache = True
    name = "chainrule_lock"


def admit(s: Session, scope: Scope, max_queued: int) -> None:
    """Check that one more job may be queued, in the transaction that inserts it.

    Transactions that insert jobs of the same owner wait for each other, so that two cannot take the last place.

    Raises
    ------
    TooManyJobs
        If `max_queued` jobs are queued already.
    """
    owner = scope.owner_of_new()
    s.execute(select(TransactionLock(literal(f"queue {owner}"))))
    queued = select(Job.id).where(Job.status == Status.QUEUED, Job.owner == owner).limit(max_queued).subquery()
    if s.execute(select(func.count()).select_from(queued)).scalar_one() >= max_queued:
        raise TooManyJobs(max_queued)


@compiles(TransactionLock, "sqlite")
def _sqlite(_element: TransactionLock, _compiler: SQLCompiler, **_options: object) -> str:
    return "1"  # SQLite has one writer at a time


@compiles(TransactionLock, "postgresql")
def _postgresql(element: TransactionLock, compiler: SQLCompiler, **options: object) -> str:
    # The function returns void, which cannot be selected as a Boolean; the comparison makes it one.
    return f"pg_advisory_xact_lock(hashtextextended({compiler.process(element.clauses, **options)}, 0)) IS NOT NULL"
