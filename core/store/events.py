"""The event log of a job: metrics, status and remarks, numbered by one from 1. Readers ask what follows a number."""

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
from core.store.database import word
from core.store.guards import GuardedWrite
from core.store.scope import Scope
from core.store.tables import Event, Job


class MetricRow(NamedTuple):
    """One number of a training; it may be infinite or none."""

    step: int
    epoch: int
    split: str
    name: str
    value: float


class LogRow(NamedTuple):
    """One remark; `data` is anything in JSON that a machine may want of it."""

    message: str
    step: int | None = None
    epoch: int | None = None
    data: Mapping[str, Any] | None = None


class EventRow(NamedTuple):
    """One event as it is stored; `at` in microseconds."""

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


PORTIONS = (500, 50, 5, 1)
"""Rows of one statement: a few sizes, whose texts stay prepared."""
PORTION = 10_000
"""Rows that are read at once where a whole story is: some megabytes."""
METRIC = "job_id, at, seq, recorded, kind, step, epoch, split, name, value"
"""The columns of a metric row that holds a number."""
_READ = tuple(getattr(Event, name) for name in EventRow._fields)


def append(s: Session, guarded: GuardedWrite, rows: Sequence[Row], logs: Sequence[LogRow] = ()) -> None:
    """Write the training's own rows, and remarks, with the numbers that `guard` allotted, in its transaction.

    Raises
    ------
    ValueError
        the guard was asked for another count.
    """
    count = len(rows) + len(logs)
    if (count, len(rows)) != (guarded.events, guarded.rows):
        raise ValueError(f"{guarded.events} events, {guarded.rows} recorded, were guarded, not {count}, {len(rows)}")
    if rows:
        _write(s, guarded, rows)
    if logs:
        s.execute(insert(Event), _remarks(guarded, logs))


def after(
    s: Session, scope: Scope, job_id: str, seq: int, limit: int = 1000, kinds: Collection[str] | None = None
) -> list[EventRow]:
    """Up to `limit` events behind number `seq`, in order; of some `kinds` only, where they are named."""
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
    """Up to `limit` metric rows behind number `after`, in order."""
    return _read(s, _metrics(scope, job_id, name, split).where(Event.seq > after).limit(limit))


def lengths(
    s: Session, scope: Scope, job_id: str, *, after: int, until: int, name: str | None = None, split: str | None = None
) -> dict[tuple[str, str], int]:
    """How many metric rows each name and split has behind number `after`, up to `until`."""
    rows = _metrics(scope, job_id, name, split).where(Event.seq > after, Event.seq <= until).order_by(None)
    counted = rows.with_only_columns(Event.name, Event.split, func.count()).group_by(Event.name, Event.split)
    return {(row[0] or "", row[1] or ""): row[2] for row in s.execute(counted)}


def portions(
    s: Session, scope: Scope, job_id: str, *, after: int, until: int, name: str | None = None, split: str | None = None
) -> Iterator[Sequence[Any]]:
    """The same rows in order, a bounded number at a time: seq, name, split and value of each."""
    rows = _metrics(scope, job_id, name, split).with_only_columns(Event.seq, Event.name, Event.split, Event.value)
    while after < until:
        found = s.execute(rows.where(Event.seq > after, Event.seq <= until).limit(PORTION)).all()
        yield found
        after = found[-1].seq if len(found) == PORTION else until


def numbered(s: Session, scope: Scope, job_id: str, numbers: Sequence[int]) -> list[EventRow]:
    """The events of these numbers that there are, in order."""
    found: list[EventRow] = []
    for start in range(0, len(numbers), PORTION):
        found += _read(s, _of(scope, job_id).where(Event.seq.in_(numbers[start : start + PORTION])))
    return found


def heads(s: Session, scope: Scope, job_ids: Collection[str]) -> dict[str, tuple[int, Status]]:
    """The last number and the status of each of the jobs that there are."""
    if not job_ids:
        return {}
    rows = s.execute(select(Job.id, Job.last_seq, Job.status).where(Job.id.in_(job_ids), scope.includes(Job.owner)))
    return {job_id: (last_seq, status) for job_id, last_seq, status in rows}


def stored_rows(s: Session, job_id: str, first: int, count: int) -> list[MetricRow]:
    """The rows of the training's own stream from place `first` (counted from 0), at most `count`."""
    statement: Select[Any] = (
        select(*(getattr(Event, name) for name in MetricRow._fields), Event.nonfinite)
        # A row's number is past its place in the stream: there the search begins, with no index of its own.
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


class _Place(NamedTuple):
    """What rows of one transaction share: whose they are, when they were written, and where the first one stands."""

    job_id: str
    at: int
    seq: int
    recorded: int

    def past(self, rows: int) -> "_Place":
        """The place of the row so many rows on."""
        return self._replace(seq=self.seq + rows, recorded=self.recorded + rows)


def _write(s: Session, guarded: GuardedWrite, rows: Sequence[Row]) -> None:
    """What is written beside a training takes time from it: numbers go the fast way, the few that are none another."""
    place = _Place(
        guarded.token.job_id, guarded.at, guarded.last_seq - guarded.events + 1, guarded.recorded - guarded.rows
    )
    if math.isfinite(sum(row[4] for row in rows)):
        WRITERS[s.get_bind().dialect.name](s.connection(), place, rows)
    else:
        s.execute(insert(Event), [_columns(place.past(number), row) for number, row in enumerate(rows)])


def _columns(place: _Place, row: Row) -> dict[str, Any]:
    step, epoch, split, name, value = row
    nonfinite = word(value)
    told = {"split": split, "name": name, "value": None if nonfinite else value, "nonfinite": nonfinite}
    return {**place._asdict(), "kind": "metric", "step": step, "epoch": epoch, **told}


def _remarks(guarded: GuardedWrite, logs: Sequence[LogRow]) -> list[dict[str, Any]]:
    shared = {"job_id": guarded.token.job_id, "kind": "log", "at": guarded.at}
    told = [
        {"step": log.step, "epoch": log.epoch, "data": {"message": log.message, **(log.data or {})}} for log in logs
    ]
    return [shared | {"seq": seq} | one for seq, one in enumerate(told, guarded.last_seq - len(logs) + 1)]


def _insert_many(connection: Connection, place: _Place, rows: Sequence[Row]) -> None:
    # The driver gives up the interpreter's lock at each statement, and a busy training thread hands it back 5 ms later:
    # so many rows a statement. It binds each value under that lock: so few values a row.
    start = 0
    for size in PORTIONS:
        while len(rows) - start >= size:
            own = chain.from_iterable(rows[start : start + size])
            connection.exec_driver_sql(_insertion(size), (*place.past(start), *own))
            start += size


@cache
def _insertion(rows: int) -> str:
    values = []
    for row in range(rows):
        own = ", ".join(f"?{number}" for number in range(5 * row + 5, 5 * row + 10))
        values.append(f"(?1, ?2, ?3 + {row}, ?4 + {row}, 'metric', {own})")
    return f"INSERT INTO events ({METRIC}) VALUES {', '.join(values)}"  # noqa: S608 - our own names


def _insert_arrays(connection: Connection, place: _Place, rows: Sequence[Row]) -> None:
    steps, epochs, splits, names, values = zip(*rows, strict=True)
    series = {one: number for number, one in enumerate(dict.fromkeys(zip(splits, names, strict=True)), 1)}
    which = map(series.__getitem__, zip(splits, names, strict=True))
    shared = (*place, [split for split, _ in series], [name for _, name in series])
    connection.exec_driver_sql(ARRAYS, (*shared, *map(_array, (steps, epochs, which, values))))


def _array(numbers: Iterable[float]) -> str:
    """The text of a PostgreSQL array: ten times faster to make than what the driver makes of a list."""
    return f"{{{','.join(map(str, numbers))}}}"


ARRAYS = f"""
INSERT INTO events ({METRIC})
SELECT %s, %s, %s + place - 1, %s + place - 1, 'metric', step, epoch, (%s::text[])[which], (%s::text[])[which], value
FROM unnest(%s::bigint[], %s::bigint[], %s::int[], %s::float8[]) WITH ORDINALITY
AS row (step, epoch, which, value, place)
"""  # noqa: S608 - our own names

WRITERS: Mapping[str, Callable[[Connection, _Place, Sequence[Row]], None]] = MappingProxyType(
    {"sqlite": _insert_many, "postgresql": _insert_arrays},
)
