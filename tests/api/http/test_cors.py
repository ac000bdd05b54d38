"""CORS: pages of allowed origins read every answer, problems included; pages of other origins read none."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.settings import Settings
from core.store import jobs
from harness.processes import processes
from tests.api.conftest import LINE, Api, quiet, running
from tests.api.http.test_origins import APP, OTHER, refusal

LIMIT = 20_000
"""Bytes that a body may have in these tests."""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """Start an API that allows an origin."""
    settings = {"cors_origins": APP, "max_body_bytes": LIMIT, "max_upload_bytes": LIMIT}
    with running(Settings(**quiet(tmp_path_factory.mktemp("shared"), **settings))) as api:
        yield api


def test_allowed_origin_reads_the_answer_and_its_headers(shared: Api) -> None:
    answer = shared.client.post("/v1/jobs", json=LINE, headers={"Origin": APP})
    assert answer.status_code == 201
    assert answer.headers["access-control-allow-origin"] == APP
    exposed = answer.headers["access-control-expose-headers"].lower()
    assert {"location", "x-request-id", "retry-after"} <= set(exposed.replace(" ", "").split(","))
    assert "access-control-allow-credentials" not in answer.headers


def test_event_stream_is_readable_for_an_allowed_origin_only(shared: Api) -> None:
    job = shared.trained()["id"]
    for origin, allowed in ((APP, APP), (OTHER, None)):
        answer = shared.client.get(f"/v1/jobs/{job}/events", headers={"Origin": origin, "Last-Event-ID": "1"})
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers.get("access-control-allow-origin") == allowed


Request = Callable[[Api, dict[str, str]], Any]
PROBLEMS: dict[str, tuple[tuple[int, str], Request]] = {
    "422": ((422, "invalid_spec"), lambda api, headers: api.client.post("/v1/jobs", json={}, headers=headers)),
    "404": ((404, "unknown_path"), lambda api, headers: api.client.get("/nowhere", headers=headers)),
    "405": ((405, "method_not_allowed"), lambda api, headers: api.client.put("/v1/jobs", headers=headers)),
    "415": (
        (415, "unsupported_media_type"),
        lambda api, headers: api.client.post("/v1/jobs", content=b"{}", headers=headers),
    ),
    "413": (
        (413, "body_too_large"),
        lambda api, headers: api.client.post("/v1/datasets", content=b"x" * (LIMIT + 1), headers=headers),
    ),
    "421": (
        (421, "host_not_allowed"),
        lambda api, headers: api.client.get("/v1/jobs", headers=headers | {"Host": "other.example"}),
    ),
    "500": ((500, "internal_error"), lambda api, headers: api.client.get("/v1/jobs", headers=headers)),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_allowed_origin_reads_each_problem(shared: Api, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    expected, request = PROBLEMS[name]
    if name == "500":
        monkeypatch.setattr(jobs, "page", lambda *_, **__: 1 / 0)
    answer = request(shared, {"Origin": APP})
    assert refusal(answer) == expected
    assert answer.headers["access-control-allow-origin"] == APP
    foreign = request(shared, {"Origin": OTHER})
    assert foreign.status_code >= 400
    assert "access-control-allow-origin" not in foreign.headers
    assert foreign.headers["content-security-policy"] == answer.headers["content-security-policy"]


def test_allowed_origin_reads_the_refusal_of_a_connection_beyond_the_limit(tmp_path: Path) -> None:
    with processes(tmp_path, max_connections=1, cors_origins=APP) as running:
        running.start_api()
        with httpx.Client(base_url=running.url) as client:
            assert client.get("/health/live").status_code == 200
            for origin, allowed in ((APP, APP), (OTHER, None)):
                answer = httpx.get(f"{running.url}/v1/jobs", headers={"Origin": origin})
                assert refusal(answer) == (503, "too_many_connections")
                assert answer.headers.get("access-control-allow-origin") == allowed


def preflight(api: Api, origin: str, *, method: str = "POST", header: str = "Content-Type", host: str = "") -> Any:
    """Send the preflight request of a request with one header."""
    requested = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": header}
    return api.client.options("/v1/jobs", headers={"Origin": origin, "Host": host or "127.0.0.1"} | requested)


@pytest.mark.parametrize("header", ["Content-Type", "Idempotency-Key", "Last-Event-ID", "X-Request-Id"])
@pytest.mark.parametrize("host", ["127.0.0.1", "other.example"])  # 421 of the request itself must be readable
def test_preflight_of_an_allowed_origin_succeeds(shared: Api, header: str, host: str) -> None:
    answer = preflight(shared, APP, header=header, host=host)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == APP
    assert header in answer.headers["access-control-allow-headers"]
    assert {"GET", "POST", "PATCH", "DELETE"} == set(answer.headers["access-control-allow-methods"].split(", "))


@pytest.mark.parametrize("origin", [OTHER, "null", "http://app.example.org"])
def test_preflight_of_another_origin_gets_a_problem(shared: Api, embedded: Api, origin: str) -> None:
    answer = preflight(shared, origin)
    assert refusal(answer) == (403, "cross_site_request")
    assert "CHAINRULE_CORS_ORIGINS" in answer.json()["detail"]
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert "Origin" in answer.headers["vary"]
    for other in (answer, preflight(embedded, APP), preflight(shared, origin, host="other.example")):
        assert other.status_code >= 400
        assert other.headers["content-type"] == "application/problem+json"
        assert "access-control-allow-origin" not in other.headers


@pytest.mark.parametrize("changes", [{"method": "PUT"}, {"header": "X-Other"}, {"header": "Content-Type, X-Other"}])
def test_preflight_for_an_unused_method_or_header_gets_a_problem(shared: Api, changes: dict[str, str]) -> None:
    answer = preflight(shared, APP, **changes)
    assert refusal(answer) == (400, "preflight_refused")
    assert "Idempotency-Key" in answer.json()["detail"]
    assert answer.headers["access-control-allow-origin"] == APP


def test_options_without_the_headers_of_a_preflight_is_a_plain_request(shared: Api) -> None:
    for headers in ({"Origin": APP}, {}):
        answer = shared.client.options("/v1/jobs", headers=headers)
        assert (answer.status_code, answer.headers["allow"]) == (204, "GET, HEAD, POST")
