"""HEAD on every path with GET, OPTIONS, and `Allow` with all methods of the path."""

from typing import Any

import pytest

from tests.api import contract
from tests.api.conftest import Api

PATHS = sorted(contract.document()["paths"].items())


@pytest.fixture(scope="module")
def trained(embedded: Api) -> Api:
    embedded.trained()
    embedded.client.post("/v1/datasets", content="a,b\n1,2\n3,4\n", headers={"Content-Type": "text/csv"})
    embedded.client.post("/v1/uploads", headers={"Upload-Length": "5"})
    return embedded


def latest(path: str) -> str:
    return path.replace("{job_id}", "latest").replace("{dataset_id}", "latest").replace("{upload_id}", "latest")


@pytest.mark.parametrize(("path", "methods"), PATHS)
def test_head_has_the_status_and_the_headers_of_get(trained: Api, path: str, methods: dict[str, Any]) -> None:
    got, head = (trained.client.request(method, latest(path)) for method in ("GET", "HEAD"))
    assert head.content == b""
    assert head.status_code == got.status_code == (200 if "get" in methods else got.status_code)
    varying = {"x-request-id", "content-length"}  # the first of `HEAD /metrics` counts the second
    assert {*head.headers} == {*got.headers}
    for name in {*head.headers} - varying:
        assert head.headers[name] == got.headers[name]


def test_head_of_a_running_jobs_events_ends_at_once(embedded: Api) -> None:
    queued = embedded.post()
    head = embedded.client.head(f"/v1/jobs/{queued['id']}/events")
    assert (head.status_code, head.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    assert embedded.services.hub.listeners == 0


@pytest.mark.parametrize(("path", "methods"), PATHS)
def test_other_methods_are_refused_with_all_methods_of_the_path(
    embedded: Api, path: str, methods: dict[str, Any]
) -> None:
    allowed = {method.upper() for method in methods} | ({"HEAD"} if "get" in methods else set())
    for answer in (embedded.client.request("PROPFIND", path), embedded.client.options(path)):
        assert set(answer.headers["allow"].split(", ")) >= allowed
    assert embedded.client.put(path).status_code == 405
    assert embedded.client.options(path).status_code == 204


@pytest.mark.parametrize(
    ("path", "allow"),
    [("/v1/jobs", "GET, HEAD, POST"), ("/v1/jobs/latest", "DELETE, GET, HEAD"), ("/static/x", "GET, HEAD")],
)
def test_allow_lists_every_method_once(embedded: Api, path: str, allow: str) -> None:
    assert embedded.client.put(path).headers["allow"] == allow
    assert embedded.client.options(path).headers["allow"] == allow


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PUT"])
def test_unknown_path_is_404_for_every_method(embedded: Api, method: str) -> None:
    assert embedded.client.request(method, "/v1/nothing").status_code == 404


def test_head_of_a_post_route_is_refused(embedded: Api) -> None:
    answer = embedded.client.head("/v1/jobs/latest/cancel")
    assert (answer.status_code, answer.headers["allow"], answer.content) == (405, "POST", b"")
