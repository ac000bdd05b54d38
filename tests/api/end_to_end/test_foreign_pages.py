"""Pages of other origins in a real browser: none can change anything, unless its origin is allowed.

A second HTTP server stands for the other site. Its port makes it another origin. A page on 127.0.0.1 is same-site to
the service, a page on localhost is cross-site, and a page of evil.example becomes same-origin by DNS rebinding.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, Response

from core.settings import Settings
from harness.processes import processes
from tests.api.chromium import chromium
from tests.api.conftest import LINE

SPEC = json.dumps(LINE)
REBOUND = "evil.example"


class BlankPage(BaseHTTPRequestHandler):
    """Answers every request with an empty HTML page."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>elsewhere</title>")

    def log_message(self, *_: Any) -> None:
        """Write no log."""


@pytest.fixture(scope="module")
def site() -> Iterator[int]:
    """Serve the other site; yield its port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), BlankPage) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@contextmanager
def running_api(folder: Path, **settings: object) -> Iterator[str]:
    with processes(folder, **settings) as running:
        running.start_api()
        yield running.url


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start an API with the default settings."""
    with running_api(tmp_path_factory.mktemp("private")) as url:
        yield url


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, site: int) -> Iterator[str]:
    """Start an API that allows the other site as localhost."""
    with running_api(tmp_path_factory.mktemp("shared"), cors_origins=f"http://localhost:{site}") as url:
        yield url


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium(f"--host-resolver-rules=MAP {REBOUND} 127.0.0.1") as browser:
        yield browser


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    yield page
    page.close()


def jobs(service: str) -> int:
    return len(httpx.get(f"{service}/v1/jobs").raise_for_status().json()["items"])


def submit(page: Page, url: str, kind: str, fields: list[list[str]]) -> Response:
    """Submit a form of this media type from the page; return the response to it."""
    with page.expect_navigation() as navigation:
        page.evaluate(FORM, [url, kind, fields])
    return navigation.value


FETCH = """async ([url, options]) => {
  try {
    const answer = await fetch(url, options);
    return [answer.type, answer.status, answer.headers.get("location")];
  } catch (error) {
    return ["blocked", 0, null];
  }
}"""

FORM = """([url, kind, fields]) => {
  const form = document.createElement("form");
  Object.assign(form, { action: url, method: "post", enctype: kind });
  for (const [name, value] of fields) {
    const input = document.createElement("input");
    Object.assign(input, { type: "hidden", name, value });
    form.append(input);
  }
  document.body.append(form);
  form.submit();
}"""

EVENTS = """url => new Promise((resolve) => {
  const source = new EventSource(url);
  source.addEventListener("status", () => { source.close(); resolve("event"); });
  source.onerror = () => { source.close(); resolve("blocked"); };
})"""

JSON_HEADER = {"Content-Type": "application/json"}
ATTACKS: list[tuple[str, dict[str, Any]]] = [
    ("no-cors", {"method": "POST", "mode": "no-cors", "body": SPEC}),
    ("no-cors with credentials", {"method": "POST", "mode": "no-cors", "credentials": "include", "body": SPEC}),
    ("cors with text", {"method": "POST", "body": SPEC}),
    ("cors with JSON", {"method": "POST", "headers": JSON_HEADER, "body": SPEC}),
]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize(("what", "options"), ATTACKS, ids=[what for what, _ in ATTACKS])
def test_fetch_by_a_foreign_page_creates_no_job(
    page: Page, site: int, service: str, host: str, what: str, options: dict[str, Any]
) -> None:
    page.goto(f"http://{host}:{site}/")
    before = jobs(service)
    kind, status, _ = page.evaluate(FETCH, [f"{service}/v1/jobs", options])
    assert (kind, status) in {("opaque", 0), ("blocked", 0)}
    assert jobs(service) == before


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_form_of_a_foreign_page_creates_no_job(page: Page, site: int, service: str, host: str) -> None:
    name, _, value = SPEC.partition(":")  # a text/plain form sends name=value: the equals sign lands in a string
    fields = [[f'{name}:{value[:-1]},"name":"', '"}']]
    page.goto(f"http://{host}:{site}/")
    before = jobs(service)
    answer = submit(page, f"{service}/v1/jobs", "text/plain", fields)
    assert (answer.status, answer.json()["code"]) == (403, "cross_site_request")
    assert jobs(service) == before


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_form_of_a_foreign_page_cancels_and_uploads_nothing(page: Page, site: int, service: str, host: str) -> None:
    job = httpx.post(f"{service}/v1/jobs", json=LINE).raise_for_status().json()["id"]
    for path in (f"/v1/jobs/{job}/cancel", "/v1/datasets"):
        page.goto(f"http://{host}:{site}/")
        answer = submit(page, f"{service}{path}", "multipart/form-data", [["file", "x,y\n1,2\n"]])
        assert (answer.status, answer.json()["code"]) == (403, "cross_site_request"), path
    assert httpx.get(f"{service}/v1/jobs/{job}").json()["status"] == "queued"
    assert httpx.get(f"{service}/v1/datasets").json()["items"] == []


BLOB = """async ([url, kind]) => {
  const body = new Blob(["x,y\\n1,2\\n"], kind ? { type: kind } : {});
  try { return (await fetch(url, { method: "POST", mode: "no-cors", body })).type; } catch (error) { return "blocked"; }
}"""


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded"])
def test_file_of_a_foreign_page_is_not_stored(page: Page, site: int, service: str, host: str, kind: str) -> None:
    page.goto(f"http://{host}:{site}/")
    assert page.evaluate(BLOB, [f"{service}/v1/datasets?format=csv", kind]) in {"opaque", "blocked"}
    assert httpx.get(f"{service}/v1/datasets").json()["items"] == []


def test_foreign_page_cannot_read_follow_or_frame(page: Page, site: int, service: str) -> None:
    job = httpx.post(f"{service}/v1/jobs", json=LINE).raise_for_status().json()["id"]
    page.goto(f"http://localhost:{site}/")
    assert page.evaluate(FETCH, [f"{service}/v1/jobs", {}])[0] == "blocked"
    assert page.evaluate(FETCH, [f"{service}/v1/jobs", {"mode": "no-cors"}])[0] == "blocked"  # the resource policy
    assert page.evaluate(EVENTS, f"{service}/v1/jobs/{job}/events") == "blocked"
    with page.expect_console_message(lambda message: "frame-ancestors" in message.text):
        page.evaluate(
            "url => document.body.append(Object.assign(document.createElement('iframe'), {src: url}))", service
        )


def test_rebound_name_reaches_nothing(browser: Browser, service: str) -> None:
    page = browser.new_page(bypass_csp=True)  # the attacker's page comes from another machine, without our policy
    rebound = service.replace("127.0.0.1", REBOUND)
    before = jobs(service)
    answer = page.goto(rebound)
    assert answer is not None
    assert (answer.status, answer.json()["code"]) == (421, "host_not_allowed")
    options = {"method": "POST", "headers": JSON_HEADER, "body": SPEC}
    assert page.evaluate(FETCH, [f"{rebound}/v1/jobs", options])[:2] == ["basic", 421]
    assert page.evaluate(FETCH, [f"{rebound}/v1/jobs", {}])[:2] == ["basic", 421]
    page.close()
    assert jobs(service) == before


def test_allowed_origin_creates_and_follows_a_job(page: Page, site: int, shared: str) -> None:
    page.goto(f"http://localhost:{site}/")
    options = {"method": "POST", "headers": JSON_HEADER | {"Idempotency-Key": "once"}, "body": SPEC}
    kind, status, location = page.evaluate(FETCH, [f"{shared}/v1/jobs", options])
    assert (kind, status) == ("cors", 201)
    assert jobs(shared) == 1
    assert page.evaluate(FETCH, [f"{shared}{location}", {}])[:2] == ["cors", 200]
    assert page.evaluate(EVENTS, f"{shared}{location}/events") == "event"
    assert page.evaluate(FETCH, [f"{shared}{location}", {"method": "DELETE"}])[1] == 409  # the problem is readable too


def test_neighbour_of_the_allowed_origin_creates_no_job(page: Page, site: int, shared: str) -> None:
    page.goto(f"http://127.0.0.1:{site}/")
    before = jobs(shared)
    for _, options in ATTACKS:
        page.evaluate(FETCH, [f"{shared}/v1/jobs", options])
    assert jobs(shared) == before


def test_own_page_creates_a_job(page: Page, service: str) -> None:
    for own in (service, service.replace("127.0.0.1", "localhost")):
        page.goto(f"{own}/docs")
        options = {"method": "POST", "headers": JSON_HEADER, "body": SPEC}
        assert page.evaluate(FETCH, [f"{own}/v1/jobs", options])[:2] == ["basic", 201]


def test_default_settings_allow_no_other_origin() -> None:
    assert Settings().cors_origins == ""
    assert Settings().allowed_hosts == ""
