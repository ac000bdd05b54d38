"""A job's log over HTTP: pages, charts, and streams of what is stored, from anywhere to the end."""

import json
import tracemalloc
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import delete, text, update

from api.streaming.event_reader import encode
from core.store import events, leases, tables
from core.store.events import LogRow, MetricRow
from core.store.guards import token_of
from core.store.scope import EVERYTHING
from tests.api.conftest import Api


@pytest.fixture(scope="module")
def trained(api: Api) -> dict[str, Any]:
    """A job that has ended."""
    return api.trained()


def lines(client: TestClient, job: str, query: str = "") -> list[dict[str, Any]]:
    answer = client.get(f"/v1/jobs/{job}/events{query}", headers={"Accept": "application/jsonl"})
    assert answer.headers["content-type"] == "application/jsonl"
    return [json.loads(line) for line in answer.text.splitlines() if line]


def frames(text: str) -> list[dict[str, str]]:
    """The server-sent events of a text, comments left out."""
    blocks = [block.splitlines() for block in text.split("\n\n") if block and not block.startswith(":")]
    return [dict(line.split(": ", 1) for line in block) for block in blocks]


# pages


def test_metrics_come_in_pages(client: TestClient, trained: dict[str, Any]) -> None:
    whole = client.get(f"/v1/jobs/{trained['id']}/metrics?limit=10000").json()
    assert whole["next_after"] is None
    rows, after = [], 0
    while after is not None:
        page = client.get(f"/v1/jobs/{trained['id']}/metrics?limit=70&after={after}").json()
        rows += page["items"]
        after = page["next_after"]
    assert rows == whole["items"]
    loss = [row for row in rows if row["name"] == "loss"]
    assert [row["step"] for row in loss] == list(range(1, 101))
    assert set(loss[0]) == {"seq", "step", "epoch", "split", "name", "value", "at"}


def test_metrics_by_name_and_split(client: TestClient, trained: dict[str, Any]) -> None:
    rows = client.get(f"/v1/jobs/{trained['id']}/metrics?name=loss&split=train").json()["items"]
    assert {(row["name"], row["split"]) for row in rows} == {("loss", "train")}
    assert client.get(f"/v1/jobs/{trained['id']}/metrics?name=nothing").json()["items"] == []


def test_points_thin_each_series_out(client: TestClient, trained: dict[str, Any]) -> None:
    rows = client.get(f"/v1/jobs/{trained['id']}/metrics?points=10").json()["items"]
    assert [row["seq"] for row in rows] == sorted({row["seq"] for row in rows})
    loss = [row for row in rows if row["name"] == "loss"]
    assert len(loss) <= 10
    assert (loss[0]["step"], loss[-1]["step"]) == (1, 100)


ROWS = 60_000
MANY = text(
    "WITH RECURSIVE numbers(n) AS (SELECT 3 UNION ALL SELECT n + 1 FROM numbers WHERE n < :rows + 2) "
    "INSERT INTO events (job_id, seq, kind, step, epoch, split, name, value, at) "
    "SELECT :job, n, 'metric', n, 1, 'train', 'loss', n % 1000, 0 FROM numbers"
)


def test_a_chart_of_a_long_story_takes_little_memory(api: Api, client: TestClient) -> None:
    job = running_with(api, [])
    with api.services.database.begin() as s:
        s.execute(MANY, {"job": job, "rows": ROWS})
        s.execute(update(tables.Job).where(tables.Job.id == job).values(last_seq=ROWS + 2))
    tracemalloc.start()
    rows = client.get(f"/v1/jobs/{job}/metrics?points=100").json()["items"]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (len(rows), rows[0]["seq"], rows[-1]["seq"]) == (100, 3, ROWS + 2)
    assert peak < 12e6
    with api.services.database.begin() as s:
        s.execute(delete(tables.Event).where(tables.Event.job_id == job))


def test_what_is_not_finite_has_a_word(api: Api, client: TestClient) -> None:
    job = running_with(api, [MetricRow(1, 1, "train", "loss", float("nan")), MetricRow(2, 1, "train", "loss", 1.0)])
    first, second = client.get(f"/v1/jobs/{job}/metrics").json()["items"]
    assert (first["value"], first["nonfinite"]) == (None, "nan")
    assert (second["value"], "nonfinite" in second) == (1.0, False)


def running_with(api: Api, rows: list[MetricRow], logs: tuple[LogRow, ...] = ()) -> str:
    """A job that some worker holds and has written these rows of."""
    posted = str(api.post()["id"])
    with api.services.database.begin() as s:
        while (job := leases.claim(s, "someone", 30.0)) is not None and job.id != posted:
            pass
        assert job is not None
        guarded = leases.guard(s, token_of(job), lease_seconds=30.0, events=len(rows) + len(logs), recorded=len(rows))
        events.append(s, guarded, rows, logs=logs)
    return posted


# streams of jobs that have ended


def test_lines_tell_everything(client: TestClient, trained: dict[str, Any]) -> None:
    told = lines(client, trained["id"])
    assert [row["seq"] for row in told] == list(range(1, len(told) + 1))
    assert [row["status"] for row in told if row["event"] == "status"] == ["queued", "running", "succeeded"]
    assert told[-1]["event"] == "status"
    metrics = client.get(f"/v1/jobs/{trained['id']}/metrics?limit=10000").json()["items"]
    assert [{k: v for k, v in row.items() if k != "event"} for row in told if row["event"] == "metric"] == metrics


def test_frames_tell_the_same(client: TestClient, trained: dict[str, Any]) -> None:
    answer = client.get(f"/v1/jobs/{trained['id']}/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    told = frames(answer.text)
    assert [json.loads(frame["data"]) for frame in told] == lines(client, trained["id"])
    assert all(frame["id"] == str(json.loads(frame["data"])["seq"]) for frame in told)
    assert {frame["event"] for frame in told} == {"metric", "status"}


@pytest.mark.parametrize("after", [0, 1, 50, 101])
def test_going_on_has_no_gap_and_no_double(client: TestClient, trained: dict[str, Any], after: int) -> None:
    whole = lines(client, trained["id"])
    assert lines(client, trained["id"], f"?after={after}") == whole[after:]
    answer = client.get(f"/v1/jobs/{trained['id']}/events", headers={"Last-Event-ID": str(after)})
    assert [json.loads(frame["data"]) for frame in frames(answer.text)] == whole[after:]


def test_a_browser_that_has_it_all_is_told_not_to_come_back(client: TestClient, trained: dict[str, Any]) -> None:
    last = lines(client, trained["id"])[-1]["seq"]
    assert client.get(f"/v1/jobs/{trained['id']}/events", headers={"Last-Event-ID": str(last)}).status_code == 204
    assert lines(client, trained["id"], f"?after={last}") == []


def test_remarks_are_told(api: Api, client: TestClient) -> None:
    job = running_with(api, [], logs=(LogRow("careful", data={"code": "not_reproduced"}),))
    with api.services.database.read() as s:
        rows = [json.loads(encode(row).json_line) for row in events.after(s, EVERYTHING, job, 0)]
    (remark,) = [row for row in rows if row["event"] == "log"]
    assert (remark["message"], remark["code"]) == ("careful", "not_reproduced")
