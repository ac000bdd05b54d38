"""First answers, kept for clients that repeat a request. A key is kept in the transaction of what it made."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Boolean, delete, literal, select, update
from sqlalchemy.dialects.postgresql import insert  # compiles for SQLite too: the same ON CONFLICT
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction

from core.store.clock import microseconds, now
from core.store.errors import KeyInProgress, KeyReused
from core.store.scope import Scope
from core.store.tables import IdempotencyKey


@dataclass(frozen=True)
class Answer:
    """What the first request was answered: HTTP status and body."""

    job_id: str | None
    status: int
    response: str


class TryLock(GenericFunction[bool]):
    """Whether this transaction alone has the word, until its end; never waits."""

    type = Boolean()
    inherit_cache = True
    name = "chainrule_try_lock"


def reserve(s: Session, scope: Scope, key: str, body_sha256: str) -> Answer | None:
    """None where the key is new: go on, and `keep` the answer in this transaction. Otherwise the first answer.

    Raises
    ------
    KeyReused
        the first request had another body.
    KeyInProgress
        the first request has no answer yet.
    """
    owner = scope.owner_of_new()
    if not s.execute(select(TryLock(literal(f"idempotency {owner} {key}")))).scalar_one():
        raise KeyInProgress(key)
    mine = insert(IdempotencyKey).values(owner=owner, key=key, body_sha256=body_sha256, created_at=now())
    if s.execute(mine.on_conflict_do_nothing().returning(IdempotencyKey.key)).first() is not None:
        return None
    first = s.execute(select(IdempotencyKey).where(*_named(owner, key))).scalar_one()
    if first.body_sha256 != body_sha256:
        raise KeyReused(key)
    if first.status is None or first.response is None:
        raise KeyInProgress(key)
    return Answer(first.job_id, first.status, first.response)


def keep(s: Session, scope: Scope, key: str, *, job_id: str | None, status: int, response: str) -> None:
    """Keep the answer to the request that reserved the key."""
    answer = {"job_id": job_id, "status": status, "response": response}
    s.execute(update(IdempotencyKey).where(*_named(scope.owner_of_new(), key)).values(answer))


def forget(s: Session, older_than_seconds: float) -> int:
    """Drop the answers that are older; how many."""
    old = IdempotencyKey.created_at < now() - microseconds(older_than_seconds)
    return len(s.execute(delete(IdempotencyKey).where(old).returning(IdempotencyKey.key)).all())


def _named(owner: str, key: str) -> tuple[Any, Any]:
    return IdempotencyKey.owner == owner, IdempotencyKey.key == key


@compiles(TryLock, "sqlite")
def _sqlite(_element: TryLock, _compiler: SQLCompiler, **_options: Any) -> str:
    return "1"  # there is one writer at a time


@compiles(TryLock, "postgresql")
def _postgresql(element: TryLock, compiler: SQLCompiler, **options: Any) -> str:
    return f"pg_try_advisory_xact_lock(hashtextextended({compiler.process(element.clauses, **options)}, 0))"
