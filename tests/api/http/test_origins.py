"""Hosts and origins: what a web page of another site may not do with this service."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from api.http.origins import host_name, is_loopback
from core.settings import Settings
from tests.api.conftest import LINE, LOOPBACK, Api, quiet, running

APP = "https://app.example.org"
"""The origin that the second API allows."""
OTHER = "https://evil.example"
SITE = "Sec-Fetch-Site"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """Start an API that allows an origin and two hosts."""
    settings = {"cors_origins": f"{APP}, http://localhost:3000", "allowed_hosts": "Train.example.org, [fd00::1]"}
    with running(Settings(**quiet(tmp_path_factory.mktemp("shared"), **settings))) as api:
        yield api


def refusal(answer: Any) -> tuple[int, str]:
    """Return the status and the code of a problem."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return answer.status_code, answer.json()["code"]


OWN_HOSTS = ["localhost", "LocalHost:8000", "127.0.0.1", "127.0.0.1:65535", "127.8.9.10:1", "[::1]", "[::1]:8000"]
FOREIGN_HOSTS = [
    "evil.example",
    "evil.example:8000",
    "localhost.evil.example",
    "notlocalhost",
    "localhost@evil.example",
    "evil.example/localhost",
    "127.0.0.1.evil.example",
    "128.0.0.1",
    "0.0.0.0",
    "192.168.0.1:8000",
    "[::2]",
    "[::1]evil.example",
    "localhost:evil.example",
    "*",
    "",
]


@pytest.mark.parametrize("host", OWN_HOSTS)
def test_loopback_host_is_served(embedded: Api, host: str) -> None:
    assert embedded.client.get("/health/live", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", FOREIGN_HOSTS)
@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("GET", "/v1/jobs"), ("POST", "/v1/jobs")])
def test_foreign_host_gets_421(embedded: Api, method: str, path: str, host: str) -> None:
    answer = embedded.client.request(method, path, headers={"Host": host})
    assert refusal(answer) == (421, "host_not_allowed")
    assert "CHAINRULE_ALLOWED_HOSTS" in answer.json()["detail"]
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("host", ["train.example.org", "TRAIN.example.org:443", "[fd00::1]:8000", "localhost"])
def test_host_of_the_setting_is_served(shared: Api, host: str) -> None:
    assert shared.client.get("/health/live", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["example.org", "x.train.example.org", "train.example.org.evil.example", "[fd00::2]"])
def test_neighbour_of_an_allowed_host_gets_421(shared: Api, host: str) -> None:
    assert refusal(shared.client.get("/health/live", headers={"Host": host})) == (421, "host_not_allowed")


def test_configured_address_and_the_asterisk_are_allowed_hosts(start: Callable[..., Api]) -> None:
    api = start(host="192.168.0.7")
    assert api.client.get("/health/live", headers={"Host": "192.168.0.7:8000"}).status_code == 200
    assert api.client.get("/health/live", headers={"Host": "192.168.0.8:8000"}).status_code == 421
    api = start(allowed_hosts="*")
    assert api.client.get("/health/live", headers={"Host": "any.example"}).status_code == 200


def test_long_host_is_quoted_in_part(embedded: Api) -> None:
    answer = embedded.client.get("/health/live", headers={"Host": "x" * 10_000})
    assert refusal(answer) == (421, "host_not_allowed")
    assert len(answer.text) < 1_000


OWN_PAGES: list[dict[str, str]] = [
    {},
    {"Origin": LOOPBACK},
    {"Origin": "HTTP://127.0.0.1"},
    {"Origin": LOOPBACK, SITE: "same-origin"},
    {SITE: "same-origin"},
    {SITE: "none"},
    {"Host": "localhost:8000", "Origin": "http://localhost:8000"},
    {"Host": "localhost:8000", "Origin": "https://localhost:8000"},  # a proxy terminates TLS
    {"Host": "[::1]:8000", "Origin": "http://[::1]:8000"},
]
FOREIGN_PAGES: list[dict[str, str]] = [
    {"Origin": OTHER},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "http://127.0.0.1:3000"},
    {"Origin": "http://localhost"},
    {"Origin": "http://127.0.0.1.evil.example"},
    {"Origin": "127.0.0.1"},
    {"Origin": APP},
    {"Origin": OTHER, SITE: "same-origin"},
    {"Origin": LOOPBACK, SITE: "cross-site"},
    {"Origin": LOOPBACK, SITE: "same-site"},
    {SITE: "cross-site"},
    {SITE: "same-site"},
    {SITE: "of the future"},
]
CHANGES = [
    ("POST", "/v1/jobs"),
    ("POST", "/v1/datasets"),
    ("POST", "/v1/jobs/latest/cancel"),
    ("DELETE", "/v1/jobs/latest"),
    ("PUT", "/v1/jobs"),
]


@pytest.mark.parametrize("headers", OWN_PAGES, ids=str)
def test_own_page_and_program_create_a_job(embedded: Api, headers: dict[str, str]) -> None:
    assert embedded.client.post("/v1/jobs", json=LINE, headers=headers).status_code == 201


@pytest.mark.parametrize(("method", "path"), CHANGES)
@pytest.mark.parametrize("headers", FOREIGN_PAGES, ids=str)
def test_change_by_a_foreign_page_gets_403(embedded: Api, method: str, path: str, headers: dict[str, str]) -> None:
    before = embedded.client.get("/v1/jobs").text
    answer = embedded.client.request(method, path, headers=headers, json=LINE)
    assert refusal(answer) == (403, "cross_site_request")
    assert "CHAINRULE_CORS_ORIGINS" in answer.json()["detail"]
    assert embedded.client.get("/v1/jobs").text == before


@pytest.mark.parametrize("headers", FOREIGN_PAGES, ids=str)
def test_read_by_a_foreign_page_is_served_without_cors_headers(embedded: Api, headers: dict[str, str]) -> None:
    for method, status in (("GET", 200), ("HEAD", 200), ("OPTIONS", 204)):
        answer = embedded.client.request(method, "/v1/jobs", headers=headers)
        assert answer.status_code == status
        assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize("site", ["cross-site", "same-site", None])
def test_page_of_an_allowed_origin_creates_a_job(shared: Api, site: str | None) -> None:
    headers = {"Origin": APP} | ({SITE: site} if site else {})
    assert shared.client.post("/v1/jobs", json=LINE, headers=headers).status_code == 201


@pytest.mark.parametrize("origin", [OTHER, "https://app.example.org:444", "http://app.example.org", "null"])
def test_neighbour_of_an_allowed_origin_gets_403(shared: Api, origin: str) -> None:
    answer = shared.client.post("/v1/jobs", json=LINE, headers={"Origin": origin})
    assert refusal(answer) == (403, "cross_site_request")
    assert "access-control-allow-origin" not in answer.headers


JSON_ROUTES = ["/v1/jobs", "/v1/jobs/validate"] + [
    f"/v1/jobs/latest/{action}" for action in ("continue", "predictions", "inspect", "check_gradient")
]


@pytest.mark.parametrize("path", JSON_ROUTES)
@pytest.mark.parametrize(
    "kind", [None, "text/plain", "text/plain; charset=UTF-8; application/json", "application/x-www-form-urlencoded"]
)
def test_json_that_a_page_can_send_without_preflight_gets_415(embedded: Api, path: str, kind: str | None) -> None:
    headers = {"Content-Type": kind} if kind else {}
    if path.endswith("predictions") and (kind or "").startswith("text/plain"):
        return  # a text may be an instance, and a prediction changes nothing
    answer = embedded.client.post(path, content=b'{"instances": [[1]]}', headers=headers)
    assert refusal(answer) == (415, "unsupported_media_type")


@pytest.mark.parametrize("kind", ["application/json", "Application/JSON; charset=utf-8", "application/spec+json"])
def test_json_media_type_is_read(embedded: Api, kind: str) -> None:
    answer = embedded.client.post("/v1/jobs/validate", content=b"{}", headers={"Content-Type": kind})
    assert refusal(answer) == (422, "invalid_spec")


def test_host_name_leaves_out_brackets_and_port() -> None:
    names = {"a.b:80": "a.b", "a": "a", "[::1]:8": "::1", "[::1]": "::1", "a:b": "", "::1": "", "[::1": "", "": ""}
    assert {host: host_name(host) for host in names} == names


def test_is_loopback_knows_names_and_addresses() -> None:
    assert all(map(is_loopback, ["localhost", "127.0.0.1", "127.255.255.254", "::1"]))
    assert not any(map(is_loopback, ["", "localhost.example", "126.0.0.1", "128.0.0.1", "::", "127.1", "0x7f000001"]))
