"""The comparison of exchanges with the OpenAPI document finds what contradicts it."""

from typing import Any

import pytest
from httpx2 import Request, Response

from core.jobs.examples import DOUBLING
from tests.api import contract

JOB_SPEC = {"$ref": "#/components/schemas/JobSpec"}
ADDRESS = "http://127.0.0.1/v1/jobs"
PROBLEM = {"type": "t", "title": "t", "status": 404, "detail": "d", "code": "c", "request_id": "r"}


@pytest.mark.parametrize(
    "change",
    [
        {"architecture": {"layers": [{"type": "dence", "units": 1}]}},
        {"architecture": {"layers": [{"units": 1}]}},
        {"architecture": {}},
        {"training": {"epochs": 0}},
        {"optimizer": {"type": "sgd", "rate": 1}},
        {"epochs": 3},
    ],
)
def test_invalid_spec_is_found(change: dict[str, Any]) -> None:
    contract.require_valid(JOB_SPEC, DOUBLING, "a spec")
    with pytest.raises(AssertionError, match="is not valid by the document"):
        contract.require_valid(JOB_SPEC, DOUBLING | change, "a spec")


@pytest.mark.parametrize(
    ("method", "path", "answer", "words"),
    [
        ("GET", "", Response(200, json={"items": [{}], "next_cursor": None}), "is not valid by the document"),
        ("GET", "", Response(200, text="none"), "and not text/plain"),
        ("GET", "", Response(418, json=PROBLEM), "and not application/json"),
        ("POST", "", Response(202, json={}), "this status is not documented"),
        ("GET", "/latest/nothing/there", Response(200, json={}), "is not documented"),
    ],
)
def test_answer_that_contradicts_the_document_is_found(method: str, path: str, answer: Response, words: str) -> None:
    answer.request = Request(method, ADDRESS + path)
    with pytest.raises(AssertionError, match=words):
        contract.check_exchange(answer)


def test_accepted_body_that_contradicts_the_document_is_found() -> None:
    answer = Response(201, json={}, request=Request("POST", ADDRESS, json=DOUBLING | {"epochs": 3}))
    with pytest.raises(AssertionError, match="the body of POST /v1/jobs → 201"):
        contract.check_exchange(answer)
