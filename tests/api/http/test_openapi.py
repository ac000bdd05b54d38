"""The OpenAPI document lists every route, and every example in it runs unchanged."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.routing import APIRoute

from tests.api.conftest import Api

DOCUMENT = "/openapi.json"
FORMS = {"multipart/form-data"}

# The status that the newest job needs before an example; "trained" where nothing is listed.
STATUS_BEFORE = {
    ("post", "/v1/jobs/{job_id}/resume"): "paused",
    ("post", "/v1/jobs/{job_id}/pause"): "queued",
    ("post", "/v1/jobs/{job_id}/cancel"): "queued",
}


@pytest.fixture(scope="module")
def document(embedded: Api) -> dict[str, Any]:
    return dict(embedded.client.get(DOCUMENT).raise_for_status().json())


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def test_document_lists_exactly_the_routes_of_the_contract(embedded: Api, document: dict[str, Any]) -> None:
    documented = {(method, path) for method, path, _ in operations(document)}
    contract = {
        ("post", "/v1/jobs"),
        ("post", "/v1/jobs/validate"),
        ("get", "/v1/jobs"),
        ("get", "/v1/jobs/{job_id}"),
        ("delete", "/v1/jobs/{job_id}"),
        *(
            ("post", f"/v1/jobs/{{job_id}}/{action}")
            for action in ("cancel", "pause", "resume", "continue", "predictions", "inspect", "check_gradient")
        ),
        *(("get", f"/v1/jobs/{{job_id}}/{part}") for part in ("spec", "metrics", "events", "checkpoints", "split")),
        ("post", "/v1/datasets"),
        ("post", "/v1/uploads"),
        *((method, "/v1/uploads/{upload_id}") for method in ("get", "patch", "delete")),
        ("get", "/v1/datasets"),
        ("get", "/v1/datasets/{dataset_id}"),
        ("get", "/v1/datasets/{dataset_id}/rows"),
        ("get", "/v1/datasets/{dataset_id}/profile"),
        ("delete", "/v1/datasets/{dataset_id}"),
        *(
            ("get", path)
            for path in (
                "/health",
                "/health/live",
                "/health/ready",
                "/metrics",
                "/docs",
                "/openapi.json",
                "/",
                "/datasets/{dataset_id}",
            )
        ),
    }
    assert documented == contract
    routes: list[Any] = embedded.client.app.routes  # type: ignore[attr-defined]
    hidden = [route.path for route in routes if isinstance(route, APIRoute) and not route.include_in_schema]
    assert hidden == []


def test_every_operation_has_summary_description_and_problems(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        where = f"{method} {path}"
        assert operation["summary"], where
        assert operation["description"], where
        problems = [
            answer
            for answer in operation["responses"].values()
            if "application/problem+json" in answer.get("content", {})
        ]
        assert problems, where
        if "{" in path:
            assert "404" in operation["responses"], where


def test_every_path_parameter_has_an_example(document: dict[str, Any]) -> None:
    for _, path, operation in operations(document):
        for parameter in operation.get("parameters", []):
            if parameter["in"] == "path":
                assert example_of(parameter) == "latest", path


def test_every_schema_reference_resolves(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for name in re.findall(r"'#/components/schemas/([^']+)'", str(document)):
        assert name in schemas
    assert {"JobSpec", "Job", "Problem", "Dense", "Adam", "Inline"} <= set(schemas)
    assert "HTTPValidationError" not in schemas


def example_of(item: dict[str, Any]) -> Any:
    """Return the first example of a parameter or of a body's content."""
    if "examples" in item:
        return next(iter(item["examples"].values()))["value"]
    return item.get("example")


def bodies(operation: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield every example body of an operation with its media type."""
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        examples = [one["value"] for one in content.get("examples", {}).values()]
        for example in examples or ([content["example"]] if "example" in content else []):
            yield kind, example


def send(api: Api, method: str, path: str, kind: str | None, body: Any, headers: dict[str, str]) -> Any:
    if kind is None:
        return api.client.request(method, path, headers=headers)
    if kind in FORMS:
        fields = {name: value for name, value in body.items() if name != "file"}
        return api.client.request(method, path, files={"file": ("example.csv", body["file"])}, data=fields)
    if isinstance(body, str):
        return api.client.request(method, path, content=body, headers=headers | {"Content-Type": kind})
    return api.client.request(method, path, json=body)


def test_every_example_runs_unchanged(embedded: Api, document: dict[str, Any]) -> None:
    api = embedded
    no_body: list[tuple[str | None, Any]] = [(None, None)]
    for method, path, operation in operations(document):
        for kind, body in [*bodies(operation)] or no_body:
            prepare(api, method, path, document)
            filled = path
            for parameter in operation.get("parameters", []):
                if parameter["in"] == "path":
                    filled = filled.replace(f"{{{parameter['name']}}}", quote(example_of(parameter)))
            headers = {
                parameter["name"]: str(example_of(parameter))
                for parameter in operation.get("parameters", [])
                if parameter["in"] == "header" and parameter["required"]
            }
            answer = send(api, method, filled, kind, body, headers)
            assert answer.status_code < 300, f"{method} {filled} {kind}: {answer.text}"
            assert str(answer.status_code) in operation["responses"], f"{method} {filled}: {answer.status_code}"


def prepare(api: Api, method: str, path: str, document: dict[str, Any]) -> None:
    """Create the job or dataset that an example needs, from the first example."""
    if "{job_id}" in path or (method, path) in {("post", "/v1/jobs"), ("post", "/v1/jobs/validate")}:
        api.client.post(
            "/v1/jobs",
            json=example_of(document["paths"]["/v1/jobs"]["post"]["requestBody"]["content"]["application/json"]),
        )
        wanted = STATUS_BEFORE.get((method, path), "trained")
        if wanted == "trained":
            api.train()
        elif wanted == "paused":
            api.client.post("/v1/jobs/latest/pause")
    if "{upload_id}" in path:
        api.client.post("/v1/uploads", headers={"Upload-Length": "1000"})
    if "{dataset_id}" in path:
        content = document["paths"]["/v1/datasets"]["post"]["requestBody"]["content"]
        api.client.post("/v1/datasets", content=example_of(content["text/csv"]), headers={"Content-Type": "text/csv"})


def test_every_body_has_an_example_or_is_binary(document: dict[str, Any]) -> None:
    for method, path, operation in operations(document):
        for kind, content in operation.get("requestBody", {}).get("content", {}).items():
            has_example = "example" in content or "examples" in content
            assert has_example or content["schema"].get("format") == "binary", f"{method} {path} {kind}"
