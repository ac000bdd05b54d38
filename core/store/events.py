"""The event log of a job: metrics, status and remarks, numbered by one from 1. Readers ask what follows a number."""

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cache
from itertools import chain
from types import MappingProxyType
from typing import Any, NamedTuple

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from core.jobs.states import Status
from core.store.holds import Guarded
from core.store.sessions import dumps, word
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


Metric = tuple[int, int, str, str, float]
Values = tuple[Any, ...]
PORTIONS = (500, 50, 5, 1)
"""Rows of one statement."""
COLUMNS = ("job_id", "seq", "kind", "step", "epoch", "split", "name", "value", "nonfinite", "at", "recorded", "data")
_READ = tuple(getattr(Event, name) for name in EventRow._fields)


def append(
    s: Session,
    guarded: Guarded,
    rows: Sequence[Metric],
    timed: Sequence[Metric] = (),
    logs: Sequence[LogRow] = (),
) -> None:
    """Write the rows that `guard` allotted numbers to, in its transaction.

    `rows` belong to the training's own stream; those of `timed` depend on the wall clock and are never compared.

    Raises
    ------
    ValueError
        the guard was asked for another count.
    """
    count = len(rows) + len(timed) + len(logs)
    if (count, len(rows)) != (guarded.events, guarded.rows):
        raise ValueError(f"{guarded.events} events, {guarded.rows} recorded, were guarded, not {count}, {len(rows)}")
    if count:
        WRITERS[s.get_bind().dialect.name](s, _values(guarded, rows, timed, logs))


def after(s: Session, job_id: str, seq: int, limit: int = 1000, kinds: Collection[str] | None = None) -> list[EventRow]:
    """Up to `limit` events behind number `seq`, in order; of some `kinds` only, where they are named."""
    statement = _of(job_id).where(Event.seq > seq).limit(limit)
    if kinds is not None:
        statement = statement.where(Event.kind.in_(kinds))
    return _read(s, statement)


def metrics(
    s: Session,
    job_id: str,
    *,
    after: int = 0,
    limit: int = 100,
    name: str | None = None,
    split: str | None = None,
) -> list[EventRow]:
    """Up to `limit` metric rows behind number `after`, in order."""
    return _read(s, _metrics(job_id, name, split).where(Event.seq > after).limit(limit))


def series(s: Session, job_id: str, name: str | None = None, split: str | None = None) -> list[EventRow]:
    """All metric rows, in order."""
    return _read(s, _metrics(job_id, name, split))


def heads(s: Session, job_ids: Collection[str]) -> dict[str, tuple[int, Status]]:
    """The last number and the status of each of the jobs that there are."""
    if not job_ids:
        return {}
    rows = s.execute(select(Job.id, Job.last_seq, Job.status).where(Job.id.in_(job_ids)))
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


def _of(job_id: str) -> Select[Any]:
    return select(*_READ).where(Event.job_id == job_id).order_by(Event.seq)


def _metrics(job_id: str, name: str | None, split: str | None) -> Select[Any]:
    statement = _of(job_id).where(Event.kind == "metric")
    if name is not None:
        statement = statement.where(Event.name == name)
    return statement if split is None else statement.where(Event.split == split)


def _read(s: Session, statement: Select[Any]) -> list[EventRow]:
    return [EventRow._make(row) for row in s.execute(statement)]


def _values(
    guarded: Guarded,
    rows: Sequence[Metric],
    timed: Sequence[Metric],
    logs: Sequence[LogRow],
) -> Iterator[Values]:
    job, at, finite = guarded.hold.job_id, guarded.at, math.isfinite
    seq, place = guarded.last_seq - guarded.events, guarded.recorded - guarded.rows
    for step, epoch, split, name, value in rows:
        seq += 1
        number, nonfinite = (value, None) if finite(value) else (None, word(value))
        yield job, seq, "metric", step, epoch, split, name, number, nonfinite, at, place, None
        place += 1
    for step, epoch, split, name, value in timed:
        seq += 1
        number, nonfinite = (value, None) if finite(value) else (None, word(value))
        yield job, seq, "metric", step, epoch, split, name, number, nonfinite, at, None, None
    for log in logs:
        seq += 1
        data = dumps({"message": log.message, **(log.data or {})})
        yield job, seq, "log", log.step, log.epoch, None, None, None, None, at, None, data


def _insert_many(s: Session, values: Iterator[Values]) -> None:
    # The driver gives up the interpreter's lock at each statement, and a busy training thread hands it back 5 ms later:
    # so many rows a statement, in a few sizes whose texts stay prepared. Even alone that is twice as fast.
    connection, rows, start = s.connection(), list(values), 0
    for size in PORTIONS:
        while len(rows) - start >= size:
            portion = rows[start : start + size]
            connection.exec_driver_sql(_insertion(size), tuple(chain.from_iterable(portion)))
            start += size


@cache
def _insertion(rows: int) -> str:
    places = f"({', '.join('?' * len(COLUMNS))})"
    return f"INSERT INTO events ({', '.join(COLUMNS)}) VALUES {', '.join([places] * rows)}"  # noqa: S608 - our own names


def _copy(s: Session, values: Iterator[Values]) -> None:
    connection: Any = s.connection().connection.driver_connection
    with connection.cursor() as cursor, cursor.copy(f"COPY events ({', '.join(COLUMNS)}) FROM STDIN") as copy:
        for row in values:
            copy.write_row(row)


WRITERS: Mapping[str, Callable[[Session, Iterator[Values]], None]] = MappingProxyType(
    {"sqlite": _insert_many, "postgresql": _copy},
)
