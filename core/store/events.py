"""The event log of a job: metrics, transitions and log messages, numbered from 1 without gaps.

Readers ask for the events after a number.
"""

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import chain
from types import MappingProxyType
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, func, insert, select
from sqlalchemy.orm import Session

from core.jobs.cadence import Row
from core.jobs.states import Status
from core.store.database import nonfinite_name
from core.store.guards import GuardedWrite
from core.store.scope import Scope
from core.store.tables import Event, Job


class MetricRow(NamedTuple):
    """One value of a metric; it may be infinite or NaN."""

    step: int
    epoch: int
    split: str
    name: str
    value: float


class LogRow(NamedTuple):
    """One log message; `data` holds the same facts for programs, as JSON."""

    message: str
    step: int | None = None
    epoch: int | None = None
    data: Mapping[str, Any] | None = None


class EventRow(NamedTuple):
    """One event as stored; `at` is in microseconds."""

    seq: int
    kind: str
    step: int | None
    epoch: int | None
    split: str | None
    name: str | None
    value: float | None
    nonfinite: str | None
    at: int
    data: dict[str, Any] | None


INSERT_BATCH_ROWS = (500, 50, 5, 1)
"""Rows of one INSERT: a few sizes, so that SQLite keeps the statements prepared."""
READ_BATCH_ROWS = 10_000
"""Rows that are read at a time where all of a job are: some megabytes."""
METRIC_COLUMNS = "job_id, at, seq, recorded, kind, step, epoch, split, name, value"
"""The columns of a metric row with a finite value."""
_READ = tuple(getattr(Event, name) for name in EventRow._fields)


def append(s: Session, guarded: GuardedWrite, rows: Sequence[Row], logs: Sequence[LogRow] = ()) -> None:
    """Insert rows of the training and log messages, with the numbers that `guard` allotted, in its transaction.

    Raises
    ------
    ValueError
        If `guard` allotted another number of events or rows.
    """
    count = len(rows) + len(logs)
    if (count, len(rows)) != (guarded.events, guarded.rows):
        raise ValueError(
            f"guard allotted {guarded.events} events, {guarded.rows} of them rows, but got {count} and {len(rows)}"
        )
    if rows:
        _write(s, guarded, rows)
    if logs:
        s.execute(insert(Event), _log_values(guarded, logs))


def after(
    s: Session, scope: Scope, job_id: str, seq: int, limit: int = 1000, kinds: Collection[str] | None = None
) -> list[EventRow]:
    """Return up to `limit` events after number `seq`, in order; of these `kinds` only, if given."""
    statement = _of(scope, job_id).where(Event.seq > seq).limit(limit)
    if kinds is not None:
        statement = statement.where(Event.kind.in_(kinds))
    return _read(s, statement)


def metrics(
    s: Session,
    scope: Scope,
    job_id: str,
    *,
    after: int = 0,
    limit: int = 100,
    name: str | None = None,
    split: str | None = None,
) -> list[EventRow]:
    """Return up to `limit` metric rows after number `after`, in order."""
    return _read(s, _metrics(scope, job_id, name, split).where(Event.seq > after).limit(limit))


def metric_counts(
    s: Session, scope: Scope, job_id: str, *, after: int, until: int, name: str | None = None, split: str | None = None
) -> dict[tuple[str, str], int]:
    """Return the number of metric rows after `after`, up to `until`, by name and split."""
    rows = _metrics(scope, job_id, name, split).where(Event.seq > after, Event.seq <= until).order_by(None)
    counted = rows.with_only_columns(Event.name, Event.split, func.count()).group_by(Event.name, Event.split)
    return {(row[0] or "", row[1] or ""): row[2] for row in s.execute(counted)}


def metric_batches(
    s: Session, scope: Scope, job_id: str, *, after: int, until: int, name: str | None = None, split: str | None = None
) -> Iterator[Sequence[Any]]:
    """Yield the same rows in order, `READ_BATCH_ROWS` at a time: seq, name, split and value of each."""
    rows = _metrics(scope, job_id, name, split).with_only_columns(Event.seq, Event.name, Event.split, Event.value)
    while after < until:
        found = s.execute(rows.where(Event.seq > after, Event.seq <= until).limit(READ_BATCH_ROWS)).all()
        yield found
        after = found[-1].seq if len(found) == READ_BATCH_ROWS else until


def by_seq(s: Session, scope: Scope, job_id: str, numbers: Sequence[int]) -> list[EventRow]:
    """Return the events with these numbers, in order."""
    found: list[EventRow] = []
    for start in range(0, len(numbers), READ_BATCH_ROWS):
        found += _read(s, _of(scope, job_id).where(Event.seq.in_(numbers[start : start + READ_BATCH_ROWS])))
    return found


def heads(s: Session, scope: Scope, job_ids: Collection[str]) -> dict[str, tuple[int, Status]]:
    """Return the last event number and the status of each of these jobs that exists in the scope."""
    if not job_ids:
        return {}
    rows = s.execute(select(Job.id, Job.last_seq, Job.status).where(Job.id.in_(job_ids), scope.includes(Job.owner)))
    return {job_id: (last_seq, status) for job_id, last_seq, status in rows}


def stored_rows(s: Session, job_id: str, first: int, count: int) -> list[MetricRow]:
    """Return up to `count` rows of the training's row stream, from place `first` (counted from 0).

    For the worker that recomputes them and compares, across owners.
    """
    statement: Select[Any] = (
        select(*(getattr(Event, name) for name in MetricRow._fields), Event.nonfinite)
        # An event's number exceeds its place in the row stream, so the primary key bounds the search.
        .where(Event.job_id == job_id, Event.seq > first, Event.recorded >= first)
        .order_by(Event.seq)
        .limit(count)
    )
    return [
        MetricRow(row.step, row.epoch, row.split, row.name, _number(row.value, row.nonfinite))
        for row in s.execute(statement)
    ]


def _number(value: Any, nonfinite: str | None) -> float:
    return float(value if nonfinite is None else nonfinite)


def _of(scope: Scope, job_id: str) -> Select[Any]:
    return select(*_READ).where(Event.job_id == job_id, scope.includes_job(job_id)).order_by(Event.seq)


def _metrics(scope: Scope, job_id: str, name: str | None, split: str | None) -> Select[Any]:
    statement = _of(scope, job_id).where(Event.kind == "metric")
    if name is not None:
        statement = statement.where(Event.name == name)
    return statement if split is None else statement.where(Event.split == split)


def _read(s: Session, statement: Select[Any]) -> list[EventRow]:
    return [EventRow._make(row) for row in s.execute(statement)]


class _Position(NamedTuple):
    """Job, time, event number and place in the row stream of a transaction's first row."""

    job_id: str
    at: int
    seq: int
    recorded: int

    def plus(self, rows: int) -> "_Position":
        """Return the position of a later row."""
        return self._replace(seq=self.seq + rows, recorded=self.recorded + rows)


def _write(s: Session, guarded: GuardedWrite, rows: Sequence[Row]) -> None:
    """Insert metric rows, by a fast path where all values are finite: the time is taken from the training."""
    position = _Position(
        guarded.token.job_id, guarded.at, guarded.last_seq - guarded.events + 1, guarded.recorded - guarded.rows
    )
    if math.isfinite(sum(row[4] for row in rows)):
        WRITERS[s.get_bind().dialect.name](s.connection(), position, rows)
    else:
        s.execute(insert(Event), [_columns(position.plus(number), row) for number, row in enumerate(rows)])


def _columns(position: _Position, row: Row) -> dict[str, Any]:
    step, epoch, split, name, value = row
    nonfinite = nonfinite_name(value)
    columns = {"split": split, "name": name, "value": None if nonfinite else value, "nonfinite": nonfinite}
    return {**position._asdict(), "kind": "metric", "step": step, "epoch": epoch, **columns}


def _log_values(guarded: GuardedWrite, logs: Sequence[LogRow]) -> list[dict[str, Any]]:
    shared = {"job_id": guarded.token.job_id, "kind": "log", "at": guarded.at}
    rows = [
        {"step": log.step, "epoch": log.epoch, "data": {"message": log.message, **(log.data or {})}} for log in logs
    ]
    return [shared | {"seq": seq} | row for seq, row in enumerate(rows, guarded.last_seq - len(logs) + 1)]


def _insert_many(connection: Connection, position: _Position, rows: Sequence[Row]) -> None:
    # The driver releases the GIL at each statement, and a busy training thread returns it 5 ms later: hence many rows
    # in one statement. It binds each value while it has the GIL: hence few values per row.
    start = 0
    for size in INSERT_BATCH_ROWS:
        while len(rows) - start >= size:
            values = chain.from_iterable(rows[start : start + size])
            connection.exec_driver_sql(_insert_statement(size), (*position.plus(start), *values))
            start += size


@cache
def _insert_statement(rows: int) -> str:
    values = []
    for row in range(rows):
        own = ", ".join(f"?{number}" for number in range(5 * row + 5, 5 * row + 10))
        values.append(f"(?1, ?2, ?3 + {row}, ?4 + {row}, 'metric', {own})")
    return f"INSERT INTO events ({METRIC_COLUMNS}) VALUES {', '.join(values)}"  # noqa: S608 - our own names


def _insert_arrays(connection: Connection, position: _Position, rows: Sequence[Row]) -> None:
    steps, epochs, splits, names, values = zip(*rows, strict=True)
    series = {one: number for number, one in enumerate(dict.fromkeys(zip(splits, names, strict=True)), 1)}
    which = map(series.__getitem__, zip(splits, names, strict=True))
    shared = (*position, [split for split, _ in series], [name for _, name in series])
    connection.exec_driver_sql(INSERT_ARRAYS, (*shared, *map(_array, (steps, epochs, which, values))))


def _array(numbers: Iterable[float]) -> str:
    """Return the text of a PostgreSQL array: ten times faster than the driver's conversion of a list."""
    return f"{{{','.join(map(str, numbers))}}}"


INSERT_ARRAYS = f"""
INSERT INTO events ({METRIC_COLUMNS})
SELECT %s, %s, %s + place - 1, %s + place - 1, 'metric', step, epoch, (%s::text[])[which], (%s::text[])[which], value
FROM unnest(%s::bigint[], %s::bigint[], %s::int[], %s::float8[]) WITH ORDINALITY
AS row (step, epoch, which, value, place)
"""  # noqa: S608 - our own names

WRITERS: Mapping[str, Callable[[Connection, _Position, Sequence[Row]], None]] = MappingProxyType(
    {"sqlite": _insert_many, "postgresql": _insert_arrays},
)
