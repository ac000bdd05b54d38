"""Every route refuses unknown and repeated query parameters, and media types that it does not answer in."""

from typing import Any

import pytest

from tests.api import contract
from tests.api.conftest import Api

OPERATIONS = [
    (method, path, described)
    for path, methods in sorted(contract.document()["paths"].items())
    for method, described in methods.items()
]


def names(described: dict[str, Any]) -> set[str]:
    return {one["name"] for one in described.get("parameters", ()) if one["in"] == "query"}


@pytest.mark.parametrize(("method", "path", "described"), OPERATIONS)
def test_unknown_parameter_is_refused_with_the_known_ones(
    embedded: Api, method: str, path: str, described: dict[str, Any]
) -> None:
    answer = embedded.client.request(method, path, params={"wieght": "last"}, content=b"{}")
    assert answer.status_code == 422, answer.text
    (error,) = answer.json()["errors"]
    assert error["parameter"] == "wieght"
    for name in names(described):
        assert name in error["message"]


def test_misspelt_parameters_change_nothing(embedded: Api) -> None:
    before = embedded.client.get("/v1/jobs").json()["items"]
    assert embedded.client.post("/v1/jobs?validate=true", json={}).status_code == 422
    assert embedded.client.delete("/v1/jobs/latest?force=1").status_code == 422
    assert embedded.client.get("/v1/jobs").json()["items"] == before


@pytest.mark.parametrize(
    ("query", "parameter", "message"),
    [
        ("status=done", "status", "unknown 'done': did you mean succeeded?"),
        ("status=queued&status=Runing", "status", "did you mean running?"),
        ("status=qqq", "status", "choose one of queued, running"),
        ("page_size=3", "page_size", "did you mean limit?"),
        ("cursr=3", "cursr", "did you mean cursor?"),
        ("state=failed", "state", "did you mean status?"),
        ("limit=1&limit=2", "limit", "is given twice"),
        ("limit=few", "limit", "must be an integer"),
        ("metadata[a]=1&metadata[a]=2", "metadata[a]", "is given twice"),
        ("metadata[]=1", "metadata[]", "must be metadata[key]"),
        ("metadata=1", "metadata", "use cursor, limit, name, status, metadata[key]"),
        ("limits[a]=1", "limits[a]", "is not known here"),
    ],
)
def test_wrong_parameter_is_named_with_what_is_allowed(embedded: Api, query: str, parameter: str, message: str) -> None:
    answer = embedded.client.get(f"/v1/jobs?{query}")
    assert answer.status_code == 422
    error = answer.json()["errors"][0]
    assert error["parameter"] == parameter
    assert message in error["message"]


def test_repeatable_parameter_may_be_repeated(embedded: Api) -> None:
    assert embedded.client.get("/v1/jobs?status=queued&status=running&metadata[a]=1&metadata[b]=2").status_code == 200


def test_form_takes_its_fields_as_parts_only(embedded: Api) -> None:
    files = {"file": ("a.csv", b"a,b\n1,2\n")}
    answer = embedded.client.post("/v1/datasets?name=other", files=files)
    assert (answer.status_code, answer.json()["errors"][0]["parameter"]) == (422, "name")


@pytest.mark.parametrize(("method", "path", "described"), OPERATIONS)
def test_media_type_that_no_route_has_is_refused(
    embedded: Api, method: str, path: str, described: dict[str, Any]
) -> None:
    answer = embedded.client.request(method, path, headers={"Accept": "image/png"}, content=b"{}")
    has_content = "204" not in described["responses"] or "200" in described["responses"]
    assert (answer.status_code == 406) == has_content, answer.text
    if has_content:
        assert answer.json()["code"] == "not_acceptable"


def test_problems_are_problems_whatever_the_client_accepts(embedded: Api) -> None:
    answer = embedded.client.get("/v1/jobs/job_none/metrics", headers={"Accept": "text/csv"})
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
