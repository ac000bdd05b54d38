"""The event log of a job: metrics, status and remarks, numbered by one from 1. Readers ask what follows a number."""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import Any, NamedTuple

from sqlalchemy import Select, insert, select
from sqlalchemy.orm import Session

from core.jobs.rows import Row
from core.jobs.states import Status
from core.store.holds import Guarded
from core.store.sessions import word
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
METRIC = ("job_id", "seq", "kind", "step", "epoch", "split", "name", "value", "nonfinite", "at", "recorded")
"""The columns of a metric row."""
_READ = tuple(getattr(Event, name) for name in EventRow._fields)


def append(s: Session, guarded: Guarded, rows: Sequence[Row], logs: Sequence[LogRow] = ()) -> None:
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
        WRITERS[s.get_bind().dialect.name](s, _Place.of(guarded), rows)
    if logs:
        s.execute(insert(Event), _remarks(guarded, logs))


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


class _Place(NamedTuple):
    """What the rows of one transaction share: where they begin, and when they were written."""

    job_id: str
    seq: int
    recorded: int
    at: int

    @classmethod
    def of(cls, guarded: Guarded) -> "_Place":
        first = guarded.last_seq - guarded.events + 1
        return cls(guarded.hold.job_id, first, guarded.recorded - guarded.rows, guarded.at)


def _remarks(guarded: Guarded, logs: Sequence[LogRow]) -> list[dict[str, Any]]:
    shared = {"job_id": guarded.hold.job_id, "kind": "log", "at": guarded.at}
    return [
        {
            **shared,
            "seq": seq,
            "step": log.step,
            "epoch": log.epoch,
            "data": {"message": log.message, **(log.data or {})},
        }
        for seq, log in enumerate(logs, guarded.last_seq - len(logs) + 1)
    ]


def _finite(value: float) -> tuple[float | None, str | None]:
    """The columns `value` and `nonfinite`."""
    return (value, None) if math.isfinite(value) else (None, word(value))


def _insert_many(s: Session, place: _Place, rows: Sequence[Row]) -> None:
    # The driver gives up the interpreter's lock at each statement, and a busy training thread hands it back 5 ms later:
    # so many rows a statement. It binds each value under that lock: so few values a row.
    connection, (job_id, seq, recorded, at) = s.connection(), place
    start = 0
    for size in PORTIONS:
        while len(rows) - start >= size:
            shared = (job_id, seq + start, recorded + start, at)
            portion = (value for row in rows[start : start + size] for value in (*row[:4], *_finite(row[4])))
            connection.exec_driver_sql(_insertion(size), (*shared, *portion))
            start += size


@cache
def _insertion(rows: int) -> str:
    values = []
    for row in range(rows):
        own = ", ".join(f"?{number}" for number in range(5 + 6 * row, 11 + 6 * row))
        values.append(f"(?1, ?2 + {row}, 'metric', {own}, ?4, ?3 + {row})")
    return f"INSERT INTO events ({', '.join(METRIC)}) VALUES {', '.join(values)}"  # noqa: S608 - our own names


def _copy(s: Session, place: _Place, rows: Sequence[Row]) -> None:
    connection: Any = s.connection().connection.driver_connection
    job_id, seq, recorded, at = place
    with connection.cursor() as cursor, cursor.copy(f"COPY events ({', '.join(METRIC)}) FROM STDIN") as copy:
        for number, row in enumerate(rows):
            copy.write_row((job_id, seq + number, "metric", *row[:4], *_finite(row[4]), at, recorded + number))


WRITERS: Mapping[str, Callable[[Session, _Place, Sequence[Row]], None]] = MappingProxyType(
    {"sqlite": _insert_many, "postgresql": _copy},
)
