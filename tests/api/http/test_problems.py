"""Every error is answered with problem+json: a stable code, the invalid place, and a correction."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.exc import DataError, OperationalError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.requests import ClientDisconnect

from api.http.problems import Problem
from chainrule.reference import errors_page
from core.blobs.errors import BlobStoreUnavailable
from core.jobs.errors import INVALID_SPEC_CODES
from core.store import jobs
from tests.api.conftest import LINE, Api
from tests.api.http.large_bodies import LARGE_SPECS

HUGE = "9" * 400
DENSE = {"type": "dense", "units": 1}


def spec(pointer: str, value: Any) -> dict[str, Any]:
    """Return the y = 2x spec with the value at a JSON pointer changed."""
    changed = copy.deepcopy(LINE)
    *path, last = pointer.strip("/").split("/")
    parent: Any = changed
    for step in path:
        parent = parent[int(step)] if isinstance(parent, list) else parent[step]
    if isinstance(parent, list):
        parent[int(last)] = value
    else:
        parent[last] = value
    return changed


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in LINE.items() if key != name}


CLASSES = {"type": "inline", "x": [[1], [2], [3]], "y": ["a", "b", "c"]}

BAD_SPECS: list[tuple[str, Any, str, str, str]] = [
    # description, spec, code, pointer, part of the message
    ("no data", without("data"), "invalid_spec", "/data", "required"),
    ("another word", spec("/architecture", "automatic"), "invalid_spec", "/architecture", "object"),
    ("unknown layer", spec("/architecture/layers/0/type", "dens"), "invalid_spec", "/architecture/layers/0", "dense"),
    ("unknown loss", spec("/loss", {"type": "l3"}), "invalid_spec", "/loss", "mean_squared_error"),
    ("unknown optimizer", spec("/optimizer/type", "adamm"), "invalid_spec", "/optimizer", "adam"),
    ("unknown field", spec("/architecture/layers/0/unit", 1), "invalid_spec", "/architecture/layers/0/unit", "field"),
    ("unknown field above", spec("/colour", 1), "invalid_spec", "/colour", "field"),
    ("unknown data", spec("/data/type", "inlin"), "invalid_spec", "/data", "inline"),
    ("unknown builtin", spec("/data", {"type": "builtin", "name": "x"}), "invalid_", "/data/name", "xor"),
    ("text for a number", spec("/training/epochs", "100"), "invalid_spec", "/training/epochs", "integer"),
    ("a fraction of an epoch", spec("/training/epochs", 1.5), "invalid_spec", "/training/epochs", "integer"),
    ("true for a number", spec("/training/epochs", True), "invalid_spec", "/training/epochs", "integer"),
    ("no epochs", spec("/training/epochs", 0), "invalid_spec", "/training/epochs", "least 1"),
    ("no units", spec("/architecture/layers/0/units", 0), "invalid_spec", "/architecture/layers/0/units", "least 1"),
    ("negative rate", spec("/optimizer/learning_rate", -1), "invalid_spec", "/optimizer/learning_rate", "greater"),
    ("no layers", spec("/architecture/layers", []), "invalid_spec", "/architecture/layers", "least 1"),
    ("ragged", spec("/data/x/2", [3, 3]), "invalid_data", "/data/x/2", ""),
    ("empty", spec("/data", {"type": "inline", "x": [], "y": []}), "invalid_", "/data/x", ""),
    ("uneven", spec("/data/y", [[2], [4]]), "invalid_data", "/data/y", ""),
    ("text among numbers", spec("/data/x/1/0", "two"), "invalid_data", "/data/x/1/0", ""),
    ("null among numbers", spec("/data/x/1/0", None), "invalid_data", "/data/x/1/0", ""),
    ("classes for numbers", spec("/data", CLASSES) | {"loss": "mean_squared_error"}, "invalid_spec", "/loss", ""),
    (
        "one output for three classes",
        spec("/data", CLASSES),
        "shape_mismatch",
        "/architecture/layers/0",
        "",
    ),
    (
        "a network that does not fit the data",
        spec("/architecture/layers", [{"type": "reshape", "target_shape": [3]}, DENSE]),
        "shape_mismatch",
        "/architecture/layers/0",
        "",
    ),
    (
        "too many parameters",
        spec("/architecture/layers", [{"type": "dense", "units": 10**9}, DENSE]),
        "limit_exceeded",
        "/architecture",
        "parameters",
    ),
    ("long name", spec("/name", "x" * 201), "invalid_spec", "/name", "200"),
    ("long metadata", spec("/metadata", {"k": "v" * 513}), "invalid_spec", "/metadata/k", "512"),
    ("long metadata key", spec("/metadata", {"k" * 65: "v"}), "invalid_spec", "/metadata/" + "k" * 65, "64"),
    ("much metadata", spec("/metadata", {str(n): "" for n in range(17)}), "invalid_spec", "/metadata", "16"),
    ("number in metadata", spec("/metadata", {"k": 1}), "invalid_spec", "/metadata/k", "string"),
    ("NUL in a name", spec("/name", "a\0b"), "invalid_spec", "/name", "NUL"),
    ("NUL in metadata", spec("/metadata", {"k": "\0"}), "invalid_spec", "/metadata/k", "NUL"),
    (
        "no such dataset",
        spec("/data", {"type": "dataset", "id": "ds_x", "target": "y"}),
        "invalid_data",
        "/data/id",
        "",
    ),
]

BAD_TEXTS: list[tuple[str, bytes, str, str]] = [
    ("nothing", b"", "", "JSON"),
    ("no JSON", b"{", "", "JSON"),
    ("a list", b"[]", "", "object"),
    ("NaN", json.dumps(spec("/data/x/0/0", float("nan"))).encode(), "/data/x/0/0", "finite"),
    ("infinity", json.dumps(spec("/optimizer/learning_rate", float("inf"))).encode(), "/optimizer/learning_rate", ""),
    ("a number beyond floats", json.dumps(LINE).replace("0.01", "1e999").encode(), "/optimizer/learning_rate", ""),
    ("400 digits", json.dumps(LINE).replace("0.01", HUGE).encode(), "/optimizer/learning_rate", "finite"),
    ("400 digits of units", json.dumps(LINE).replace('"units": 1', f'"units": {HUGE}').encode(), "", ""),
    ("400 digits in the data", json.dumps(LINE).replace("[[1]", f"[[{HUGE}]").encode(), "/data/x/0/0", "finite"),
    ("5,000 brackets", b'{"data": ' + b"[" * 5000 + b"]" * 5000 + b"}", "", "JSON"),
    ("a lone surrogate", json.dumps(LINE | {"name": "\ud800"}).encode(), "", "JSON"),
    ("no UTF-8", b'{"name": "\xff"}', "", "JSON"),
]


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/jobs/validate"])
@pytest.mark.parametrize(("what", "body", "code", "pointer", "words"), BAD_SPECS, ids=[row[0] for row in BAD_SPECS])
def test_invalid_spec_is_refused_with_code_and_pointer(
    embedded: Api, path: str, what: str, body: Any, code: str, pointer: str, words: str
) -> None:
    answer = embedded.client.post(path, json=body)
    problem = problem_of(answer, 422)
    assert problem.code.startswith(code), problem
    assert pointer in [error.pointer for error in problem.errors], problem
    assert any(words in error.message for error in problem.errors), problem
    assert embedded.client.get("/v1/jobs").json()["items"] == []


@pytest.mark.parametrize(("what", "body", "pointer", "words"), BAD_TEXTS, ids=[row[0] for row in BAD_TEXTS])
def test_invalid_json_text_is_refused(embedded: Api, what: str, body: bytes, pointer: str, words: str) -> None:
    answer = embedded.client.post("/v1/jobs", content=body, headers={"Content-Type": "application/json"})
    problem = problem_of(answer, 422)
    assert problem.code == "invalid_spec"
    assert any((error.pointer or "").startswith(pointer) and words in error.message for error in problem.errors)
    assert embedded.client.get("/v1/jobs").json()["items"] == []


def problem_of(answer: Any, status: int) -> Problem:
    """Check the response against the contract, and return its problem."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = Problem.model_validate_json(answer.text)
    assert problem.status == status
    assert problem.type == f"urn:chainrule:problem:{problem.code}"
    assert problem.request_id == answer.headers["x-request-id"]
    assert "Traceback" not in answer.text
    return problem


OTHER_PROBLEMS: list[tuple[str, str, dict[str, str], int, str]] = [
    ("GET", "/nowhere", {}, 404, "unknown_path"),
    ("GET", "/v1/", {}, 404, "unknown_path"),
    ("GET", "/v1/jobs/", {}, 404, "unknown_path"),
    ("GET", "/static/../../pyproject.toml", {}, 404, "unknown_path"),
    ("GET", "/static/%2e%2e/app.py", {}, 404, "unknown_path"),
    ("PUT", "/v1/jobs", {}, 405, "method_not_allowed"),
    ("DELETE", "/health/live", {}, 405, "method_not_allowed"),
    ("POST", "/v1/jobs", {"Content-Type": "text/plain"}, 415, "unsupported_media_type"),
    ("POST", "/v1/jobs", {}, 415, "unsupported_media_type"),
    ("GET", "/v1/jobs?limit=0", {}, 422, "invalid_parameter"),
    ("GET", "/v1/datasets/ds_x", {}, 404, "unknown_dataset"),
]


@pytest.mark.parametrize(("method", "path", "headers", "status", "code"), OTHER_PROBLEMS)
def test_other_problem_has_its_status_and_code(
    embedded: Api, method: str, path: str, headers: dict[str, str], status: int, code: str
) -> None:
    answer = embedded.client.request(method, path, headers=headers)
    assert problem_of(answer, status).code == code


def test_405_lists_the_allowed_methods(embedded: Api) -> None:
    assert "POST" in embedded.client.put("/v1/jobs").headers["allow"]


def test_unexpected_error_reveals_no_details(embedded: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "with_spec", _raise(RuntimeError("secret")))
    answer = embedded.client.get("/v1/jobs/job_00000000000000000000000000")
    assert problem_of(answer, 500).code == "internal_error"
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OperationalError("SELECT", {}, Exception("secret")), "database_away"),
        (PoolTimeout("secret"), "database_busy"),
        (BlobStoreUnavailable("secret"), "storage_away"),
    ],
)
def test_unavailable_backend_gets_503_with_retry_after(
    embedded: Api, monkeypatch: pytest.MonkeyPatch, error: Exception, code: str
) -> None:
    monkeypatch.setattr(jobs, "page", _raise(error))
    answer = embedded.client.get("/v1/jobs")
    assert problem_of(answer, 503).code == code
    assert answer.headers["retry-after"] == "2"
    assert "secret" not in answer.text


def test_client_that_disconnects_gets_400(embedded: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "page", _raise(ClientDisconnect()))
    assert problem_of(embedded.client.get("/v1/jobs"), 400).code == "incomplete_body"


def test_missing_stored_file_is_reported(embedded: Api) -> None:
    upload = embedded.client.post("/v1/datasets", content="a,b\n1,2\n", headers={"Content-Type": "text/csv"}).json()
    for path in (embedded.services.settings.data_dir / "blobs").glob("?" * 64):
        path.unlink()
    assert problem_of(embedded.client.get(f"/v1/datasets/{upload['id']}/rows"), 500).code == "missing_file"


def _raise(error: Exception) -> Callable[..., None]:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    return fail


def test_problem_lists_20_errors_and_counts_the_others(embedded: Api) -> None:
    answer = embedded.client.post("/v1/jobs", json=LINE | {f"n{n}": n for n in range(50)})
    problem = problem_of(answer, 422)
    assert [error.pointer for error in problem.errors] == [f"/n{n}" for n in range(20)]
    assert problem.more_errors == 30
    assert "more_errors" not in embedded.client.post("/v1/jobs", json=LINE | {"n": 1}).json()


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"loss": {"type": "a" * 10**6}}, "/loss/type"),
        ({"a" * 10**6: 1}, ""),
        ({"a" * 9_000: 1}, "/" + "a" * 1_999 + "…"),
        ({"loss": {"type": "a" * 3_000}}, "/loss"),
        ({"start_from": {"job": "j" * 10**6}}, "/start_from/job"),
        ({"data": {"type": "dataset", "id": "d" * 3_000, "target": "t" * 3_000}}, "/data/id"),
        ({"training": {"early_stopping": {"monitor": "m" * 9_000}}}, "/training/early_stopping/monitor"),
    ],
)
def test_answer_to_long_texts_is_short(embedded: Api, changes: Any, pointer: str) -> None:
    answer = embedded.client.post("/v1/jobs", json=LINE | changes)
    assert pointer in [error.pointer for error in problem_of(answer, 422).errors]
    assert len(answer.content) < 12_000


def test_answer_to_a_million_wrong_layers_is_short(embedded: Api) -> None:
    body = LARGE_SPECS["a million wrong layers"]()
    for path in ("/v1/jobs", "/v1/jobs/validate"):
        answer = embedded.client.post(path, content=body, headers={"Content-Type": "application/json"})
        assert [error.pointer for error in problem_of(answer, 422).errors] == ["/architecture/layers"]
        assert len(answer.content) < 1_000


def test_many_unmatched_patterns_are_20_errors_and_a_number(embedded: Api) -> None:
    decay = {"type": "weight_decay", "weight_decay": 0.1, "weights": [f"x{n}" for n in range(100)], "optimizer": "sgd"}
    problem = problem_of(embedded.client.post("/v1/jobs", json=LINE | {"optimizer": decay}), 422)
    assert (len(problem.errors), problem.more_errors) == (20, 80)
    wrapped = decay | {"optimizer": decay}
    problem = problem_of(embedded.client.post("/v1/jobs", json=LINE | {"optimizer": wrapped}), 422)
    assert [error.pointer for error in problem.errors] == ["/optimizer"]


@pytest.mark.parametrize("code", INVALID_SPEC_CODES)
def test_title_of_a_spec_problem_is_that_of_the_docs(embedded: Api, code: str) -> None:
    bad = {row[2]: row[1] for row in BAD_SPECS}[code]
    title = problem_of(embedded.client.post("/v1/jobs", json=bad), 422).title
    assert title == INVALID_SPEC_CODES[code]
    assert f"| 422 | `{code}` | {title} |" in errors_page()


def test_failed_statement_is_logged_in_one_line_without_its_text(
    embedded: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for error in (
        DataError("SELECT secret", {"text": "a" * 10**6}, Exception("bad text\nLINE 1: SELECT secret")),
        OperationalError("SELECT secret", {}, Exception("too complex\nSELECT secret")),
        StatementError("cannot bind", "SELECT secret", {}, ValueError("bad\nSELECT secret")),
    ):
        monkeypatch.setattr(jobs, "page", _raise(error))
        assert embedded.client.get("/v1/jobs").status_code in {500, 503}
        (record,) = caplog.records
        assert "exc_info" not in record.msg
        assert len(str(record.msg)) < 500
        assert "SELECT" not in str(record.msg)
        assert "\\n" not in str(record.msg)
        caplog.clear()
