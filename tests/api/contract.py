"""A client that compares each exchange with the OpenAPI document: the accepted bodies, and every answer.

All API tests use it, so every spec of the test suite that is accepted is valid by the document.
"""

import json
import re
from functools import cache
from typing import Any

from fastapi.testclient import TestClient
from httpx2 import ByteStream, Request, Response
from jsonschema_rs import Draft202012Validator, Registry

from api.app import create_app
from core.settings import Settings

ADDRESS = "urn:chainrule:openapi"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
UNDOCUMENTED = re.compile(r"/static/")
PROBLEM = "application/problem+json"


class CheckedClient(TestClient):
    """Starlette's test client, which fails a test whose exchange contradicts the document.

    Answers that are read as streams are not compared.
    """

    def request(self, *args: Any, **options: Any) -> Response:
        """Send a request; compare it and the answer with the document."""
        answer = super().request(*args, **options)
        for past in (*answer.history, answer):
            check_exchange(past)
        return answer


def check_exchange(answer: Response) -> None:
    """Fail if an accepted body or the answer is not valid by the document."""
    request, where = answer.request, f"{answer.request.method} {answer.request.url.path} → {answer.status_code}"
    operation = operation_of(request.method, request.url.path)
    if answer.is_success and (request.method == "OPTIONS" or UNDOCUMENTED.match(request.url.path)):
        return
    if operation is None:
        assert not answer.is_success, f"{where}: is not documented"
        check_content({"content": {PROBLEM: {"schema": PROBLEM_SCHEMA}}}, answer, where)
        return
    if answer.is_success and request.headers.get("content-type") == "application/json" and is_plain(request):
        check_body(operation, request.content, where)
    described = operation["responses"].get(str(answer.status_code))
    assert described or not answer.is_success, f"{where}: this status is not documented"
    check_content(described or operation["responses"]["default"], answer, where)


def is_plain(request: Request) -> bool:
    """Return whether the body of a request was sent from memory and without compression."""
    return isinstance(request.stream, ByteStream) and "content-encoding" not in request.headers


PROBLEM_SCHEMA = {"$ref": "#/components/schemas/Problem"}


def check_body(operation: dict[str, Any], body: bytes, where: str) -> None:
    """Fail if an accepted JSON body is not valid by the document."""
    contents = operation.get("requestBody", {}).get("content", {})
    if "application/json" in contents and body:
        require_valid(contents["application/json"]["schema"], json.loads(body), f"the body of {where}")


def check_content(described: dict[str, Any], answer: Response, where: str) -> None:
    """Fail if an answer has another media type than the document says, or JSON that is not valid by it."""
    contents = described.get("content", {})
    kind = answer.headers.get("content-type", "").partition(";")[0]
    if answer.request.method == "HEAD" or not kind:
        assert not answer.content, f"{where}: has content without a type"
        return
    assert kind in contents, f"{where}: the document has {sorted(contents)}, and not {kind}"
    if kind.endswith("json"):
        require_valid(contents[kind]["schema"], answer.json(), where)


def require_valid(schema: dict[str, Any], value: Any, where: str) -> None:
    """Fail with the deepest error if a value is not valid by a schema of the document."""
    validator = validator_of(json.dumps(schema))
    if not validator.is_valid(value):
        errors = sorted(validator.iter_errors(value), key=lambda error: -len(error.instance_path))
        raise AssertionError(f"{where} is not valid by the document: {str(errors[0])[:2000]}")


@cache
def document() -> dict[str, Any]:
    """Return the OpenAPI document."""
    return dict(create_app(Settings()).openapi())


@cache
def validator_of(schema: str) -> Any:
    """Return the validator of a schema of the document, given as JSON."""
    registry = Registry([(ADDRESS, {"$schema": DIALECT, **document()})])
    absolute = schema.replace('"#/', f'"{ADDRESS}#/')
    return Draft202012Validator(json.loads(absolute), registry=registry)


@cache
def templates() -> list[tuple[re.Pattern[str], dict[str, Any]]]:
    """Return the pattern of each path with its operations; fixed paths come first."""
    paths = sorted(document()["paths"].items(), key=lambda item: "{" in item[0])
    return [(re.compile(re.sub(r"\\\{[^/]*\\\}", "[^/]+", re.escape(path))), methods) for path, methods in paths]


def operation_of(method: str, path: str) -> dict[str, Any] | None:
    """Return the operation of a request; None if the document has none. HEAD is documented as GET."""
    methods = next((methods for pattern, methods in templates() if pattern.fullmatch(path)), {})
    return methods.get({"HEAD": "get"}.get(method, method.lower()))
