"""How many jobs may wait: a client that posts faster than the workers train is told so, before the database is full."""

from sqlalchemy import Boolean, func, literal, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction

from core.jobs.states import Status
from core.store.errors import TooManyJobs
from core.store.scope import Scope
from core.store.tables import Job


class Lock(GenericFunction[bool]):
    """Waits until this transaction alone has the word, until its end."""

    type = Boolean()
    inherit_cache = True
    name = "chainrule_lock"


def admit(s: Session, scope: Scope, most: int) -> None:
    """Let one more job of this owner wait, in the transaction that makes it: others stand in line until that is over.

    Raises
    ------
    TooManyJobs
        `most` wait already.
    """
    owner = scope.owner_of_new()
    s.execute(select(Lock(literal(f"queue {owner}"))))
    waiting = select(Job.id).where(Job.status == Status.QUEUED, Job.owner == owner).limit(most).subquery()
    if s.execute(select(func.count()).select_from(waiting)).scalar_one() >= most:
        raise TooManyJobs(most)


@compiles(Lock, "sqlite")
def _sqlite(_element: Lock, _compiler: SQLCompiler, **_options: object) -> str:
    return "1"  # there is one writer at a time


@compiles(Lock, "postgresql")
def _postgresql(element: Lock, compiler: SQLCompiler, **options: object) -> str:
    # The function answers nothing, which a comparison makes a word of.
    return f"pg_advisory_xact_lock(hashtextextended({compiler.process(element.clauses, **options)}, 0)) IS NOT NULL"
