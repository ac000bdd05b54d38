"""What operators ask: alive, ready, figures; and what every answer carries."""

import json
import re
from typing import Any

import pytest
import structlog
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text
from structlog.contextvars import merge_contextvars
from structlog.stdlib import BoundLogger
from structlog.testing import LogCapture

from api.app import create_app
from api.http import middleware
from api.services.lease_collector import collect_leases
from core.settings import Settings
from core.store import leases
from core.store.errors import WrongRevision
from tests.api.conftest import Api, quiet


def figures(client: TestClient) -> dict[tuple[str, ...], float]:
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_it_is_alive_and_ready(client: TestClient) -> None:
    assert client.get("/health/live").json() == {"status": "ok"}
    ready = client.get("/health/ready")
    assert ready.status_code == 200
    assert ready.json() == {"status": "ready", "database": {"status": "ok"}, "broker": {"status": "ok"}}


def test_without_its_broker_it_is_ready_and_says_so(start: Any) -> None:
    api = start(broker_url="redis://127.0.0.1:1/0")
    ready = api.client.get("/health/ready")
    assert (ready.status_code, ready.json()["broker"]) == (200, {"status": "away"})
    assert api.post()["status"] == "queued"


def test_at_another_migration_it_is_not_ready_and_does_not_start(start: Any) -> None:
    api = start()
    with api.services.database.begin() as s:
        s.execute(text("UPDATE alembic_version SET version_num = 'other'"))
    ready = api.client.get("/health/ready")
    assert ready.status_code == 503
    assert ready.json()["database"]["status"] == "wrong_revision"
    assert "chainrule migrate" in ready.json()["database"]["detail"]
    with pytest.raises(WrongRevision, match="chainrule migrate"), TestClient(create_app(api.services.settings)):
        pass


def test_figures_count_what_happened(api: Api, client: TestClient) -> None:
    before = figures(client)
    api.trained()
    waiting = api.post()["id"]
    after = figures(client)

    def grown(*key: str) -> float:
        return after[key] - before.get(key, 0)

    assert grown("chainrule_jobs", "succeeded") == 1
    assert grown("chainrule_queue_depth") == 1
    assert grown("chainrule_training_steps_total") == 100
    assert grown("chainrule_training_samples_total") == 500
    assert grown("chainrule_training_seconds_total") > 0
    assert grown("chainrule_request_seconds_count", "POST", "/v1/jobs", "201") == 2
    assert grown("chainrule_request_seconds_count", "GET", "/v1/jobs/{job_id}", "200") == 1
    assert after["chainrule_database_up",] == 1
    client.post(f"/v1/jobs/{waiting}/cancel")


def test_paths_that_do_not_exist_share_one_label(client: TestClient) -> None:
    for number in range(5):
        client.get(f"/nowhere/{number}")
    labels = {key for key in figures(client) if key[0] == "chainrule_request_seconds_count"}
    assert not [key for key in labels if any("nowhere" in word for word in key)]


@pytest.mark.parametrize("given", ["abc-1", "A.b_c", "x" * 128])
def test_a_sane_request_id_is_kept(client: TestClient, given: str) -> None:
    assert client.get("/health/live", headers={"X-Request-Id": given}).headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "a\tb", "<script>"])
def test_any_other_is_replaced(client: TestClient, given: str) -> None:
    named = client.get("/health/live", headers={"X-Request-Id": given}).headers["x-request-id"]
    assert re.fullmatch(r"req_[0-9a-z]{26}", named)


def test_each_answer_is_one_line_in_the_log_with_its_id(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = LogCapture()
    log = structlog.wrap_logger(None, processors=[merge_contextvars, lines], wrapper_class=BoundLogger)
    monkeypatch.setattr(middleware, "log", log)
    answer = client.get("/v1/jobs/job_x", headers={"X-Request-Id": "mine"})
    (line,) = lines.entries
    assert (line["request_id"], line["status"], line["path"]) == ("mine", answer.status_code, "/v1/jobs/job_x")


@pytest.mark.parametrize("path", ["/", "/docs", "/openapi.json", "/v1/jobs", "/nowhere", "/metrics"])
def test_every_answer_is_guarded(client: TestClient, path: str) -> None:
    answer = client.get(path, headers={"Origin": "https://elsewhere.example"})
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "access-control-allow-origin" not in answer.headers
    if answer.headers["content-type"].startswith("text/html"):
        assert "default-src 'self'" in answer.headers["content-security-policy"]
        assert not re.search(r'(src|href)="(https?:)?//', answer.text)


def test_the_sweep_takes_jobs_back_and_rings(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    job = api.post()["id"]
    database = api.services.database
    with database.begin() as s:
        while (claimed := leases.claim(s, "gone", 60.0)) is not None and claimed.id != job:
            pass
    with database.begin() as s:
        s.execute(text("UPDATE jobs SET lease_until = 0, notified_at = NULL WHERE id = :id"), {"id": job})
    rung: list[bool] = []

    class Notifier:
        def notify(self) -> bool:
            rung.append(True)
            return True

    collect_leases(database, Notifier())  # type: ignore[arg-type]
    assert api.job(job)["status"] == "queued"
    assert rung == [True]
    with database.begin() as s:
        s.execute(text("UPDATE jobs SET due_at = 0 WHERE id = :id"), {"id": job})
    for _ in range(3):  # it rings once for a job that nobody rang for, and not again so soon
        collect_leases(database, Notifier())  # type: ignore[arg-type]
    assert rung == [True, True]
    assert [one["status"] for one in api.job(job)["transitions"]] == ["queued", "running", "queued"]


def test_a_fresh_app_needs_no_global_state(tmp_path: Any) -> None:
    first, second = (create_app(Settings(**quiet(tmp_path / name))) for name in "ab")
    assert first.state.registry is not second.state.registry
    assert json.dumps(first.openapi()) == json.dumps(second.openapi())
