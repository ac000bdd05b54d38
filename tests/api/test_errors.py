"""Each error that the document tells of can be had: a request for each, in one table."""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import pytest

from api.http.problem_types import PROBLEM_TYPES
from core.settings import Settings
from core.store.tables import IdempotencyKey
from harness.processes import ROOT
from tests.api.conftest import LINE, Api, quiet, running

TABLE = "x,y\n" + "".join(f"{n},{2 * n}\n" for n in range(10))
MANY = 3
"""How many jobs may wait."""


@dataclass(frozen=True)
class Place:
    """An API with small limits, a job that has ended, one that waits, and the dataset that this one needs."""

    api: Api
    ended: str
    waits: str
    used: str

    def ask(self, method: str, path: str, **content: Any) -> Any:
        """The answer to a request."""
        return self.api.client.request(method, path, **content)


Way: TypeAlias = Callable[[Place, str, str], Any]
"""Brings an error about, by the method and the path of an operation."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """One for all errors; those that change it put it back."""
    limits = {"max_queued": MANY, "max_body_bytes": 20_000, "max_upload_bytes": 20_000}
    with running(Settings(**quiet(tmp_path_factory.mktemp("api"), **limits))) as api:
        ended = api.trained()["id"]
        used = api.client.post("/v1/datasets", content=TABLE, headers={"Content-Type": "text/csv"}).json()["id"]
        waits = api.post(data={"type": "dataset", "id": used, "target": "y"})["id"]
        yield Place(api, ended, waits, used)


def of(place: Place, path: str, **ids: str) -> str:
    """The path with ids in it: of the ended job and the dataset in use, or of others."""
    return path.format(**({"job_id": place.ended, "dataset_id": place.used} | ids))


BODIES = {
    "continue": {"epochs": 1},
    "predictions": {"instances": [[1]]},
    "inspect": {"instances": [[1]], "targets": [2]},
    "check_gradient": {"instances": [[1]], "targets": [2]},
}
"""What some operations take, by the last word of their path."""


def right(path: str) -> dict[str, Any]:
    """A body that the operation takes, if it takes one."""
    body = BODIES.get(path.rpartition("/")[2])
    return {} if body is None else {"json": body}


def unknown(place: Place, method: str, path: str) -> Any:
    """There is no such thing."""
    return place.ask(method, of(place, path, job_id="job_none", dataset_id="ds_none"), **right(path))


def nonsense(place: Place, method: str, path: str) -> Any:
    """A parameter that can be no number, no word of a list and no text."""
    operation = place.ask("GET", "/openapi.json").json()["paths"][path][method.lower()]
    query = [one["name"] for one in operation["parameters"] if one["in"] == "query"]
    if query:
        return place.ask(method, of(place, path), params={query[0]: "\0"})
    return place.ask(method, of(place, path), headers={"Idempotency-Key": "x" * 1_000}, **right(path))


def cursor(place: Place, method: str, path: str) -> Any:
    """A cursor that was never given."""
    return place.ask(method, path, params={"cursor": "nonsense"})


def wrong(place: Place, method: str, path: str) -> Any:
    """A body that is no JSON."""
    return place.ask(method, of(place, path), content=b"{", headers={"Content-Type": "application/json"})


def no_form(place: Place, method: str, path: str) -> Any:
    """A form without a file."""
    return place.ask(method, path, files={"name": (None, "table")})


def no_spec(place: Place, method: str, path: str) -> Any:
    """A body of another form."""
    return place.ask(method, of(place, path), json={"epochs": -1})


def no_metric(place: Place, method: str, path: str) -> Any:
    """A rule about what is not measured."""
    return place.ask(method, of(place, path), json={"early_stopping": {"monitor": "val_loss"}})


def no_data(place: Place, method: str, path: str) -> Any:
    """More rows of x than of y."""
    return place.ask(method, path, json=LINE | {"data": {"type": "inline", "x": [[1], [2]], "y": [[2]]}})


def no_instance(place: Place, method: str, path: str) -> Any:
    """Two numbers for a net that takes one."""
    return place.ask(method, of(place, path), json=right(path)["json"] | {"instances": [[1, 2]]})


def no_file(place: Place, method: str, path: str) -> Any:
    """A file that is not what it is said to be."""
    return place.ask(method, of(place, path), content=b"x", headers={"Content-Type": "application/x-npy"})


def reused(place: Place, method: str, path: str) -> Any:
    """The key of another body."""
    key = {"Idempotency-Key": path}
    made = place.ask("POST", "/v1/jobs", json=LINE | {"name": path}, headers=key).json()["id"]
    answer = place.ask(method, of(place, path), headers=key, **({"json": LINE} | right(path)))
    place.ask("POST", f"/v1/jobs/{made}/cancel")
    place.ask("DELETE", f"/v1/jobs/{made}")
    return answer


def large(place: Place, method: str, path: str) -> Any:
    """A body beyond the limit."""
    return place.ask(method, of(place, path), content=b" " * 20_001, headers={"Content-Type": "application/json"})


def large_file(place: Place, method: str, path: str) -> Any:
    """A file beyond the limit."""
    return place.ask(method, path, content=b"x\n" + b"1\n" * 20_000, headers={"Content-Type": "text/csv"})


def other(place: Place, method: str, path: str) -> Any:
    """A kind of body that is not taken."""
    return place.ask(method, of(place, path), content=b"<x/>", headers={"Content-Type": "application/xml"})


def ended(place: Place, method: str, path: str) -> Any:
    """It has ended."""
    return place.ask(method, of(place, path))


def waiting(place: Place, method: str, path: str) -> Any:
    """It has not been trained yet."""
    return place.ask(method, of(place, path, job_id=place.waits), **right(path))


def in_progress(place: Place, method: str, path: str) -> Any:
    """The first request with this key has no answer yet."""
    address = of(place, path)
    body = json.dumps(right(path).get("json", LINE)).encode()
    told = body if path == "/v1/jobs" else f"continue {place.ended} ".encode() + body
    row = IdempotencyKey(owner="", key="first", body_sha256=hashlib.sha256(told).hexdigest(), created_at=1)
    with place.api.services.database.begin() as s:
        s.merge(row)
    headers = {"Idempotency-Key": "first", "Content-Type": "application/json"}
    return place.ask(method, address, content=body, headers=headers)


def full(place: Place, method: str, path: str) -> Any:
    """Too many wait already."""
    made = []
    while (more := place.ask("POST", "/v1/jobs", json=LINE)).status_code == 201:
        made.append(more.json()["id"])
    answer = place.ask(method, of(place, path), **({"json": LINE} | right(path)))
    for job_id in made:
        place.ask("POST", f"/v1/jobs/{job_id}/cancel")
        place.ask("DELETE", f"/v1/jobs/{job_id}")
    return answer


def in_use(place: Place, method: str, path: str) -> Any:
    """A job that waits needs it."""
    return place.ask(method, of(place, path))


USUAL: Mapping[str, Way] = {
    "unknown_job": unknown,
    "unknown_dataset": unknown,
    "body_too_large": large,
    "unsupported_media_type": other,
    "too_many_jobs": full,
    "idempotency_key_in_progress": in_progress,
    "idempotency_key_reused": reused,
    "invalid_parameter": nonsense,
    "invalid_cursor": cursor,
    "invalid_body": wrong,
    "invalid_spec": no_spec,
    "invalid_data": no_data,
    "invalid_instance": no_instance,
    "invalid_file": no_file,
    "wrong_state": ended,
    "job_not_trained": waiting,
    "dataset_in_use": in_use,
}
"""How an error comes about, where nothing else is said."""
WAYS: Mapping[tuple[str, str, str], Way] = {
    ("DELETE", "/v1/jobs/{job_id}", "wrong_state"): waiting,
    ("POST", "/v1/jobs/{job_id}/continue", "wrong_state"): waiting,
    ("POST", "/v1/jobs/{job_id}/continue", "invalid_spec"): no_metric,
    ("POST", "/v1/datasets", "body_too_large"): large_file,
    ("POST", "/v1/datasets", "invalid_body"): no_form,
}
ELSEWHERE: Mapping[str, str] = {
    "storage_full": "api/test_full_disk.py",
    "too_many_uploads": "api/services/test_schema_inference.py",
    "unreadable_file": "api/services/test_schema_inference.py",
    "unknown_path": "api/http/test_problems.py",
    "incomplete_body": "api/http/test_problems.py",
    "body_too_slow": "api/http/test_limits.py",
    "missing_file": "api/http/test_problems.py",
    "damaged_file": "api/routes/test_predictions.py",
    "database_away": "api/http/test_problems.py",
    "database_busy": "api/http/test_problems.py",
    "storage_away": "worker/test_bucket.py",
}
"""What needs a disk, a crowd, a slow client or a database of its own, and where the tests have it."""
ANYWHERE = {
    "unknown_path", "incomplete_body", "body_too_slow", "missing_file", "damaged_file",
    "database_away", "database_busy", "storage_away",
}  # fmt: skip
"""What no operation is known for."""


def test_every_documented_error_can_be_had(place: Place) -> None:
    reached = set()
    for path, operations in place.ask("GET", "/openapi.json").json()["paths"].items():
        for method, operation in operations.items():
            for status, told in operation["responses"].items():
                for code in re.findall(r"`(\w+)`", told["description"]) if status[0] in "45" else ():
                    key = (method.upper(), path, code)
                    reached.add(key)
                    if code in ELSEWHERE:
                        continue
                    way = WAYS.get(key) or USUAL[code]
                    answer = way(place, method.upper(), path)
                    assert answer.status_code == int(status), (key, way.__doc__, answer.text)
                    assert answer.headers["Content-Type"] == "application/problem+json", key
                    assert answer.json()["code"] == code, (key, answer.text)
    assert WAYS.keys() <= reached


def test_every_error_is_documented(place: Place) -> None:
    document = place.ask("GET", "/openapi.json").text
    codes = {fact.code for fact in PROBLEM_TYPES.values()}
    assert {code for code in codes if f"`{code}`" not in document} == ANYWHERE
    assert ANYWHERE <= ELSEWHERE.keys() <= codes


@pytest.mark.parametrize(("code", "file"), ELSEWHERE.items())
def test_what_is_tested_elsewhere_is(code: str, file: str) -> None:
    assert f'"{code}"' in (ROOT / "tests" / file).read_text()
