"""Request ids, the log line of a request, and the headers of every response."""

import re

import pytest
import structlog
from fastapi.testclient import TestClient
from structlog.contextvars import merge_contextvars
from structlog.stdlib import BoundLogger
from structlog.testing import LogCapture

from api.http import middleware


@pytest.mark.parametrize("given", ["abc-1", "A.b_c", "x" * 128])
def test_valid_request_id_is_kept(client: TestClient, given: str) -> None:
    assert client.get("/health/live", headers={"X-Request-Id": given}).headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "a\tb", "<script>"])
def test_invalid_request_id_is_replaced(client: TestClient, given: str) -> None:
    named = client.get("/health/live", headers={"X-Request-Id": given}).headers["x-request-id"]
    assert re.fullmatch(r"req_[0-9a-z]{26}", named)


def test_request_is_logged_in_one_line_with_its_id(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = LogCapture()
    log = structlog.wrap_logger(None, processors=[merge_contextvars, lines], wrapper_class=BoundLogger)
    monkeypatch.setattr(middleware, "log", log)
    answer = client.get("/v1/jobs/job_x", headers={"X-Request-Id": "mine"})
    (line,) = lines.entries
    assert (line["request_id"], line["status"], line["path"]) == ("mine", answer.status_code, "/v1/jobs/job_x")


PAGES = ["/", "/docs"]
STATIC_FILES = ["/static/dashboard.js", "/static/index.html", "/static/vendor/swagger-ui/swagger-ui-bundle.js"]
NO_PAGES = ["/nowhere", "/static/nowhere", "/static/", "/static/../app.py", "/docs/", "/v1/jobs/job_x"]
ANSWERS = ["/openapi.json", "/v1/jobs", "/metrics", "/health/live"]


@pytest.mark.parametrize("path", [*PAGES, *STATIC_FILES, *NO_PAGES, *ANSWERS])
def test_every_response_has_the_security_headers(client: TestClient, path: str) -> None:
    answer = client.get(path, headers={"Origin": "https://elsewhere.example"})
    assert answer.status_code == (404 if path in NO_PAGES else 200)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert "access-control-allow-origin" not in answer.headers
    (policy,) = answer.headers.get_list("content-security-policy")
    assert policy.startswith("default-src 'self';" if path in PAGES + STATIC_FILES else "default-src 'none';")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    if answer.headers["content-type"].startswith("text/html"):
        assert not re.search(r'(src|href)="(https?:)?//', answer.text)
        assert not re.search(r"<style|<script>|style=|\son[a-z]+=", answer.text)
