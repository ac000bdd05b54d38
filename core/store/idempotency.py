"""Responses stored by idempotency key, for clients that repeat a request.

A key is stored in the transaction of what the request made, so that both exist or neither does.
"""

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
class StoredResponse:
    """The response to the first request with a key: HTTP status and body."""

    job_id: str | None
    status: int
    response: str


class TryLock(GenericFunction[bool]):
    """Try to take the exclusive lock of a name until the end of the transaction; false, without waiting, if taken."""

    type = Boolean()
    inherit_cache = True
    name = "chainrule_try_lock"


def reserve(s: Session, scope: Scope, key: str, body_sha256: str) -> StoredResponse | None:
    """Reserve a new key and return None, or return the response stored under the key.

    After None, call `store_response` in the same transaction.

    Raises
    ------
    KeyReused
        If the first request had another body.
    KeyInProgress
        If the first request has no response yet.
    """
    owner = scope.owner_of_new()
    if not s.execute(select(TryLock(literal(f"idempotency {owner} {key}")))).scalar_one():
        raise KeyInProgress(key)
    new = insert(IdempotencyKey).values(owner=owner, key=key, body_sha256=body_sha256, created_at=now())
    if s.execute(new.on_conflict_do_nothing().returning(IdempotencyKey.key)).first() is not None:
        return None
    first = s.execute(select(IdempotencyKey).where(*_is_key(owner, key))).scalar_one()
    if first.body_sha256 != body_sha256:
        raise KeyReused(key)
    if first.status is None or first.response is None:
        raise KeyInProgress(key)
    return StoredResponse(first.job_id, first.status, first.response)


def store_response(s: Session, scope: Scope, key: str, *, job_id: str | None, status: int, response: str) -> None:
    """Store the response to the request that reserved the key."""
    columns = {"job_id": job_id, "status": status, "response": response}
    s.execute(update(IdempotencyKey).where(*_is_key(scope.owner_of_new(), key)).values(columns))


def delete_older_than(s: Session, seconds: float) -> int:
    """Delete keys older than that, of all owners, and return their number."""
    old = IdempotencyKey.created_at < now() - microseconds(seconds)
    return len(s.execute(delete(IdempotencyKey).where(old).returning(IdempotencyKey.key)).all())


def _is_key(owner: str, key: str) -> tuple[Any, Any]:
    return IdempotencyKey.owner == owner, IdempotencyKey.key == key


@compiles(TryLock, "sqlite")
def _sqlite(_element: TryLock, _compiler: SQLCompiler, **_options: Any) -> str:
    return "1"  # SQLite has one writer at a time


@compiles(TryLock, "postgresql")
def _postgresql(element: TryLock, compiler: SQLCompiler, **options: Any) -> str:
    return f"pg_try_advisory_xact_lock(hashtextextended({compiler.process(element.clauses, **options)}, 0))"
