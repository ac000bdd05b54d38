"""The event log: numbering, filters, and exact storage of values."""

import math
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.jobs.states import Status
from core.store import events, jobs
from core.store.database import Database
from core.store.events import LogRow, MetricRow
from core.store.guards import FencingToken, GuardedWrite
from core.store.scope import EVERYTHING
from tests.builders import a_claim, a_guard, a_job, a_row
from tests.conftest import empty

ROWS = [
    a_row(step=1, value=0.5),
    a_row(step=2, value=math.nan),
    a_row(step=2, split="validation", name="val_loss", value=math.inf),
    a_row(step=3, value=-math.inf),
]


def write(
    database: Database,
    token: FencingToken,
    rows: Sequence[MetricRow],
    logs: Sequence[LogRow] = (),
) -> GuardedWrite:
    with database.begin() as s:
        guarded = a_guard(s, token, events=len(rows) + len(logs), recorded=len(rows))
        events.append(s, guarded, rows, logs)
    return guarded


@pytest.fixture
def token(database: Database) -> FencingToken:
    with database.begin() as s:
        return a_claim(s)


def test_append_numbers_rows_and_stamps_them_by_the_database(database: Database, token: FencingToken) -> None:
    guarded = write(database, token, ROWS, [LogRow("hm", 3, 1, {"a": 1})])
    with database.read() as s:
        read = events.after(s, EVERYTHING, token.job_id, 2)
    assert [row.seq for row in read] == [3, 4, 5, 6, 7]
    assert {row.at for row in read} == {guarded.at}
    assert [row.kind for row in read] == ["metric"] * 4 + ["log"]
    assert [(row.value, row.nonfinite) for row in read[:4]] == [
        (0.5, None),
        (None, "nan"),
        (None, "inf"),
        (None, "-inf"),
    ]
    assert (read[2].step, read[2].epoch, read[2].split, read[2].name) == (2, 1, "validation", "val_loss")
    assert (read[4].step, read[4].epoch, read[4].data) == (3, 1, {"message": "hm", "a": 1})


def test_stored_rows_are_those_of_the_training_only(database: Database, token: FencingToken) -> None:
    logs = [LogRow("hm")]
    first = write(database, token, ROWS[:1], logs)
    write(database, first.token, ROWS[2:], logs)
    with database.read() as s:
        assert events.stored_rows(s, token.job_id, 0, 100) == [ROWS[0], *ROWS[2:]]
        assert events.stored_rows(s, token.job_id, 1, 1) == [ROWS[2]]
        assert events.stored_rows(s, token.job_id, 3, 1) == []
        assert jobs.get(s, EVERYTHING, token.job_id).recorded == 3


@pytest.mark.parametrize(("events_", "recorded"), [(1, 1), (2, 1), (3, 2), (2, 3)])
def test_append_of_other_counts_than_guarded_raises(
    database: Database, token: FencingToken, events_: int, recorded: int
) -> None:
    with database.begin() as s:
        guarded = a_guard(s, token, events=events_, recorded=recorded)
        with pytest.raises(ValueError, match="but got 2 and 2"):
            events.append(s, guarded, ROWS[:2])


def test_append_of_nothing_adds_no_events(database: Database, token: FencingToken) -> None:
    guarded = write(database, token, [])
    assert guarded.last_seq == 2


def test_after_continues_from_any_number(database: Database, token: FencingToken) -> None:
    write(database, token, ROWS)
    read: list[int] = []
    with database.read() as s:
        while rows := events.after(s, EVERYTHING, token.job_id, read[-1] if read else 0, limit=2):
            read += [row.seq for row in rows]
        assert read == [1, 2, 3, 4, 5, 6]
        assert [row.seq for row in events.after(s, EVERYTHING, token.job_id, 0, kinds=["status"])] == [1, 2]
        assert events.after(s, EVERYTHING, "job_gone", 0) == []


def test_metrics_filter_by_name_and_split(database: Database, token: FencingToken) -> None:
    write(database, token, ROWS)
    with database.read() as s:

        def numbers(**filters: object) -> list[int]:
            return [row.seq for row in events.metrics(s, EVERYTHING, token.job_id, **filters)]  # type: ignore[arg-type]

        assert numbers() == [3, 4, 5, 6]
        assert numbers(after=4) == [5, 6]
        assert numbers(limit=1) == [3]
        assert numbers(name="loss") == [3, 4, 6]
        assert numbers(split="validation") == [5]
        assert numbers(name="loss", split="validation") == []
        which: dict[str, Any] = {"after": 0, "until": 5, "name": "loss", "split": "train"}
        assert [row.seq for rows in events.metric_batches(s, EVERYTHING, token.job_id, **which) for row in rows] == [
            3,
            4,
        ]
        assert events.metric_counts(s, EVERYTHING, token.job_id, **which) == {("loss", "train"): 2}
        assert [row.seq for row in events.by_seq(s, EVERYTHING, token.job_id, [3, 4, 6, 999])] == [3, 4, 6]


def test_heads_return_existing_jobs_only(database: Database, token: FencingToken) -> None:
    with database.begin() as s:
        other = a_job(s).id
    with database.read() as s:
        heads = events.heads(s, EVERYTHING, [token.job_id, other, "job_gone"])
        assert heads == {token.job_id: (2, Status.RUNNING), other: (1, Status.QUEUED)}
        assert events.heads(s, EVERYTHING, []) == {}
        assert len(events.heads(s, EVERYTHING, [other, *(f"job_{n}" for n in range(2_000))])) == 1


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
METRIC_ROWS = st.builds(
    MetricRow,
    step=st.integers(0, 2**62),
    epoch=st.integers(0, 2**31),
    split=st.sampled_from(["train", "validation", "test"]),
    name=TEXTS,
    value=st.floats(),
)


@given(st.lists(st.lists(METRIC_ROWS, max_size=8), max_size=4))
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_value_is_stored_bit_for_bit(database: Database, batches: list[list[MetricRow]]) -> None:
    empty(database)
    with database.begin() as s:
        token = a_claim(s)
    at = token
    for batch in batches:
        at = write(database, at, batch).token
    with database.read() as s:
        stored = events.stored_rows(s, token.job_id, 0, 1_000)
        assert [row.seq for row in events.after(s, EVERYTHING, token.job_id, 0)] == list(range(1, 3 + len(stored)))
    assert [comparable(row) for row in stored] == [comparable(row) for batch in batches for row in batch]


def comparable(row: MetricRow) -> tuple[object, ...]:
    # SQLite does not store the sign of zero or the bits of a NaN.
    return (*row[:4], "nan" if math.isnan(row.value) else float(row.value).hex() if row.value else "0")
