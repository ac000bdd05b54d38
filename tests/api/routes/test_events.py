"""Event streams of ended jobs, as JSON lines and as server-sent events."""

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.api.conftest import Api


@pytest.fixture(scope="module")
def trained(api: Api) -> dict[str, Any]:
    """Train a job to its end."""
    return api.trained()


def lines(client: TestClient, job: str, query: str = "") -> list[dict[str, Any]]:
    answer = client.get(f"/v1/jobs/{job}/events{query}", headers={"Accept": "application/jsonl"})
    assert answer.headers["content-type"] == "application/jsonl"
    return [json.loads(line) for line in answer.text.splitlines() if line]


def frames(text: str) -> list[dict[str, str]]:
    """Return the server-sent events of a text, without comments."""
    blocks = [block.splitlines() for block in text.split("\n\n") if block and not block.startswith(":")]
    return [dict(line.split(": ", 1) for line in block) for block in blocks]


def test_json_lines_contain_every_event(client: TestClient, trained: dict[str, Any]) -> None:
    events = lines(client, trained["id"])
    assert [row["seq"] for row in events] == list(range(1, len(events) + 1))
    assert [row["status"] for row in events if row["event"] == "status"] == ["queued", "running", "succeeded"]
    assert events[-1]["event"] == "status"
    metrics = client.get(f"/v1/jobs/{trained['id']}/metrics?limit=10000").json()["items"]
    assert [{k: v for k, v in row.items() if k != "event"} for row in events if row["event"] == "metric"] == metrics


def test_server_sent_events_equal_the_json_lines(client: TestClient, trained: dict[str, Any]) -> None:
    answer = client.get(f"/v1/jobs/{trained['id']}/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = frames(answer.text)
    assert [json.loads(frame["data"]) for frame in events] == lines(client, trained["id"])
    assert all(frame["id"] == str(json.loads(frame["data"])["seq"]) for frame in events)
    assert {frame["event"] for frame in events} == {"metric", "status"}


@pytest.mark.parametrize("after", [0, 1, 50, 101])
def test_continued_stream_has_no_gap_and_no_duplicate(client: TestClient, trained: dict[str, Any], after: int) -> None:
    every = lines(client, trained["id"])
    assert lines(client, trained["id"], f"?after={after}") == every[after:]
    answer = client.get(f"/v1/jobs/{trained['id']}/events", headers={"Last-Event-ID": str(after)})
    assert [json.loads(frame["data"]) for frame in frames(answer.text)] == every[after:]


def test_client_with_all_events_gets_204(client: TestClient, trained: dict[str, Any]) -> None:
    last = lines(client, trained["id"])[-1]["seq"]
    assert client.get(f"/v1/jobs/{trained['id']}/events", headers={"Last-Event-ID": str(last)}).status_code == 204
    assert lines(client, trained["id"], f"?after={last}") == []
