"""Each error that the document tells of can be had: a request for each, in one table."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from core.settings import Settings
from core.store.tables import IdempotencyKey
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
    name = next(one["name"] for one in operation["parameters"] if one["in"] == "query")
    return place.ask(method, of(place, path), params={name: "\0"})


def wrong(place: Place, method: str, path: str) -> Any:
    """A body of another form."""
    return place.ask(method, of(place, path), json={"nonsense": 1})


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
    body = json.dumps(LINE).encode()
    row = IdempotencyKey(owner="", key="first", body_sha256=hashlib.sha256(body).hexdigest(), created_at=1)
    with place.api.services.sessions.begin() as s:
        s.merge(row)
    headers = {"Idempotency-Key": "first", "Content-Type": "application/json"}
    return place.ask(method, path, content=body, headers=headers)


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


USUAL: Mapping[str, Way] = {"404": unknown, "413": large, "415": other, "429": full}
"""How a status comes about, where nothing else is said."""
WAYS: Mapping[tuple[str, str, str], Way] = {
    ("POST", "/v1/jobs", "409"): in_progress,
    ("POST", "/v1/jobs", "422"): wrong,
    ("POST", "/v1/jobs/validate", "422"): wrong,
    ("DELETE", "/v1/jobs/{job_id}", "409"): waiting,
    ("POST", "/v1/jobs/{job_id}/cancel", "409"): ended,
    ("POST", "/v1/jobs/{job_id}/pause", "409"): ended,
    ("POST", "/v1/jobs/{job_id}/resume", "409"): ended,
    ("POST", "/v1/jobs/{job_id}/continue", "409"): waiting,
    ("POST", "/v1/jobs/{job_id}/continue", "422"): wrong,
    ("POST", "/v1/jobs/{job_id}/predictions", "409"): waiting,
    ("POST", "/v1/jobs/{job_id}/predictions", "422"): wrong,
    ("POST", "/v1/jobs/{job_id}/inspect", "409"): waiting,
    ("POST", "/v1/jobs/{job_id}/inspect", "422"): wrong,
    ("POST", "/v1/datasets", "413"): large_file,
    ("DELETE", "/v1/datasets/{dataset_id}", "409"): in_use,
}
ELSEWHERE: Mapping[tuple[str, str, str], tuple[str, str]] = {
    ("POST", "/v1/jobs", "507"): ("test_full_disk.py", "test_a_job_without_room_is_not_there"),
    ("POST", "/v1/jobs/{job_id}/continue", "507"): ("test_full_disk.py", "test_a_job_without_room_is_not_there"),
    ("POST", "/v1/datasets", "507"): ("test_full_disk.py", "test_an_upload_without_room_leaves_nothing"),
    ("POST", "/v1/datasets", "429"): ("test_inspection.py", "test_too_many_uploads_are_a_429_that_says_when"),
    ("GET", "/health/ready", "503"): (
        "test_service.py",
        "test_at_another_migration_it_is_not_ready_and_does_not_start",
    ),
}
"""What needs a disk, a crowd or a database of its own, and the test that has it."""


def test_every_documented_error_can_be_had(place: Place) -> None:
    reached = set()
    for path, operations in place.ask("GET", "/openapi.json").json()["paths"].items():
        for method, operation in operations.items():
            for status in (one for one in operation["responses"] if one[0] in "45"):
                key = (method.upper(), path, status)
                reached.add(key)
                if key in ELSEWHERE:
                    continue
                way = WAYS.get(key) or USUAL.get(status, nonsense)
                answer = way(place, method.upper(), path)
                assert answer.status_code == int(status), (key, way.__doc__, answer.text)
                assert answer.headers["Content-Type"] == "application/problem+json", key
                assert answer.json()["code"], key
    assert {*WAYS, *ELSEWHERE} <= reached


@pytest.mark.parametrize(("file", "test"), sorted(set(ELSEWHERE.values())))
def test_what_is_tested_elsewhere_is(file: str, test: str) -> None:
    assert f"def {test}(" in (Path(__file__).parent / file).read_text()
