"""Whatever goes wrong is told as problem+json, with a stable word, the place, and what to do."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.requests import ClientDisconnect

from api.http.problem_types import PROBLEM_TYPES
from api.http.problems import Problem
from core.blobs.errors import BlobStoreUnavailable
from core.data.errors import DataError
from core.store import errors as store_errors
from core.store import jobs
from tests.api.conftest import LINE, Api

HUGE = "9" * 400
DENSE = {"type": "dense", "units": 1}


def spec(pointer: str, value: Any) -> dict[str, Any]:
    """y = 2x with one place changed; the place is a JSON pointer."""
    changed = copy.deepcopy(LINE)
    *way, last = pointer.strip("/").split("/")
    here: Any = changed
    for step in way:
        here = here[int(step)] if isinstance(here, list) else here[step]
    if isinstance(here, list):
        here[int(last)] = value
    else:
        here[last] = value
    return changed


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in LINE.items() if key != name}


CLASSES = {"type": "inline", "x": [[1], [2], [3]], "y": ["a", "b", "c"]}

BAD_SPECS: list[tuple[str, Any, str, str, str]] = [
    # what is wrong, the spec, the code, the pointer, some words of the message
    ("no data", without("data"), "invalid_spec", "/data", "required"),
    ("no net", without("architecture"), "invalid_spec", "/architecture", "required"),
    ("unknown layer", spec("/architecture/layers/0/type", "dens"), "invalid_spec", "/architecture/layers/0", "'dense'"),
    ("unknown loss", spec("/loss", {"type": "l3"}), "invalid_spec", "/loss", "'mean_squared_error'"),
    ("unknown optimizer", spec("/optimizer/type", "adamm"), "invalid_spec", "/optimizer", "'adam'"),
    ("unknown field", spec("/architecture/layers/0/unit", 1), "invalid_spec", "/architecture/layers/0/unit", "field"),
    ("unknown field above", spec("/colour", 1), "invalid_spec", "/colour", "field"),
    ("unknown data", spec("/data/type", "inlin"), "invalid_spec", "/data", "'inline'"),
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
        "a net that does not fit",
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
def test_a_wrong_spec(embedded: Api, path: str, what: str, body: Any, code: str, pointer: str, words: str) -> None:
    answer = embedded.client.post(path, json=body)
    problem = checked(answer, 422)
    assert problem.code.startswith(code), problem
    assert pointer in [error.pointer for error in problem.errors], problem
    assert any(words in error.message for error in problem.errors), problem
    assert embedded.client.get("/v1/jobs").json()["items"] == []


@pytest.mark.parametrize(("what", "body", "pointer", "words"), BAD_TEXTS, ids=[row[0] for row in BAD_TEXTS])
def test_a_wrong_text(embedded: Api, what: str, body: bytes, pointer: str, words: str) -> None:
    answer = embedded.client.post("/v1/jobs", content=body, headers={"Content-Type": "application/json"})
    problem = checked(answer, 422)
    assert problem.code == "invalid_spec"
    assert any((error.pointer or "").startswith(pointer) and words in error.message for error in problem.errors)
    assert embedded.client.get("/v1/jobs").json()["items"] == []


def checked(answer: Any, status: int) -> Problem:
    """The problem of this answer, which keeps to the contract."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = Problem.model_validate_json(answer.text)
    assert problem.status == status
    assert problem.type == f"urn:chainrule:problem:{problem.code}"
    assert problem.request_id == answer.headers["x-request-id"]
    assert "Traceback" not in answer.text
    return problem


PLAIN: list[tuple[str, str, dict[str, str], int, str]] = [
    ("GET", "/nowhere", {}, 404, "unknown_path"),
    ("GET", "/v1/", {}, 404, "unknown_path"),
    ("GET", "/v1/jobs/", {}, 404, "unknown_path"),
    ("GET", "/static/../../pyproject.toml", {}, 404, "unknown_path"),
    ("GET", "/static/%2e%2e/app.py", {}, 404, "unknown_path"),
    ("PUT", "/v1/jobs", {}, 405, "method_not_allowed"),
    ("DELETE", "/health/live", {}, 405, "method_not_allowed"),
    ("POST", "/v1/jobs", {"Content-Type": "text/plain"}, 415, "unsupported_media_type"),
    ("GET", "/v1/jobs?limit=0", {}, 422, "invalid_parameter"),
    ("GET", "/v1/datasets/ds_x", {}, 404, "unknown_dataset"),
]


@pytest.mark.parametrize(("method", "path", "headers", "status", "code"), PLAIN)
def test_other_refusals(embedded: Api, method: str, path: str, headers: dict[str, str], status: int, code: str) -> None:
    answer = embedded.client.request(method, path, headers=headers)
    assert checked(answer, status).code == code


def test_a_405_says_what_is_allowed(embedded: Api) -> None:
    assert "POST" in embedded.client.put("/v1/jobs").headers["allow"]


def test_what_nobody_foresaw_says_nothing_of_the_inside(embedded: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "with_spec", _raise(RuntimeError("secret")))
    answer = embedded.client.get("/v1/jobs/job_00000000000000000000000000")
    assert checked(answer, 500).code == "internal_error"
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OperationalError("SELECT", {}, Exception("secret")), "database_away"),
        (PoolTimeout("secret"), "database_busy"),
        (BlobStoreUnavailable("secret"), "storage_away"),
    ],
)
def test_what_is_away_is_a_503_that_says_when(
    embedded: Api, monkeypatch: pytest.MonkeyPatch, error: Exception, code: str
) -> None:
    monkeypatch.setattr(jobs, "page", _raise(error))
    answer = embedded.client.get("/v1/jobs")
    assert checked(answer, 503).code == code
    assert answer.headers["retry-after"] == "2"
    assert "secret" not in answer.text


def test_a_client_that_breaks_off_is_no_error_of_the_service(embedded: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "page", _raise(ClientDisconnect()))
    assert checked(embedded.client.get("/v1/jobs"), 400).code == "incomplete_body"


def test_a_file_that_is_gone_is_told_as_that(embedded: Api) -> None:
    upload = embedded.client.post("/v1/datasets", content="a,b\n1,2\n", headers={"Content-Type": "text/csv"}).json()
    for path in (embedded.services.settings.data_dir / "blobs").glob("?" * 64):
        path.unlink()
    assert checked(embedded.client.get(f"/v1/datasets/{upload['id']}/rows"), 500).code == "missing_file"


def _raise(error: Exception) -> Callable[..., None]:
    def refuse(*_: Any, **__: Any) -> None:
        raise error

    return refuse


# No request can meet these.
INSIDE = {"StoreError", "NoSuchCheckpoint", "Fenced", "WrongRevision", "NetworkFileSystem", "DataError"}


@pytest.mark.parametrize("root", [store_errors.StoreError, DataError])
def test_every_fact_of_the_core_has_a_row(root: type[Exception]) -> None:
    facts = {kind.__name__ for kind in root.__subclasses__()}
    assert facts - INSIDE <= {kind.__name__ for kind in PROBLEM_TYPES}


def test_codes_are_words() -> None:
    assert all(fact.code.replace("_", "").isalpha() and fact.code.islower() for fact in PROBLEM_TYPES.values())
