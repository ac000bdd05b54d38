"""Every query and every parameter has a bound."""

from typing import Any

import pytest

from api.app import create_app
from api.http.queries import MAX_PARAMETERS, MAX_QUERY_BYTES
from core.settings import Settings
from tests.api.conftest import Api

PATHS = ["/v1/jobs", "/v1/datasets", "/v1/jobs/latest/metrics", "/v1/jobs/latest/events", "/health/live", "/nowhere"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("query", ["&".join(["a=1"] * (MAX_PARAMETERS + 1)), "a=" + "b" * MAX_QUERY_BYTES, "&" * 64])
def test_query_beyond_the_limit_is_refused(embedded: Api, path: str, query: str) -> None:
    answer = embedded.client.get(f"{path}?{query}")
    assert answer.status_code == 422
    assert answer.json()["code"] == "invalid_parameter"
    assert [error["parameter"] for error in answer.json()["errors"]] == ["query"]
    assert len(answer.content) < 1_000


@pytest.mark.parametrize("path", ["/v1/datasets", "/health/live"])
@pytest.mark.parametrize("query", ["&".join(["a=1"] * MAX_PARAMETERS), "a=" + "b" * (MAX_QUERY_BYTES - 2)])
def test_query_at_the_limit_is_read(embedded: Api, path: str, query: str) -> None:
    errors = embedded.client.get(f"{path}?{query}").json()["errors"]
    assert [error["parameter"] for error in errors] == ["a"]


def forms(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """The forms that a value may have, except null."""
    return [form for form in schema.get("anyOf", [schema]) if form.get("type") != "null"]


def is_bounded(schema: dict[str, Any]) -> bool:
    if {"enum", "const", "$ref", "pattern"} & schema.keys():  # a reference is to an enumeration here
        return True
    if schema["type"] == "integer":
        return {"minimum", "maximum"} <= schema.keys()
    if schema["type"] == "object":
        return "maxProperties" in schema and is_bounded(schema["additionalProperties"])
    return ("maxItems" if schema["type"] == "array" else "maxLength") in schema


def test_every_query_parameter_and_header_has_a_bound() -> None:
    parameters = [
        (parameter["name"], form)
        for methods in create_app(Settings()).openapi()["paths"].values()
        for operation in methods.values()
        for parameter in operation.get("parameters", ())
        if parameter["in"] != "path"
        for form in forms(parameter["schema"])
    ]
    assert len(parameters) > 10
    assert [name for name, form in parameters if not is_bounded(form)] == []
