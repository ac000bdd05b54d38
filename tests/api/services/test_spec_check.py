"""Large specs are checked in a process of the compute pool, with the same results as small ones."""

import json
from typing import Any

import pytest

from api.services import spec_check
from api.services.spec_check import MAX_BYTES_IN_THREAD
from tests.api.conftest import LINE, Api

ROWS = [[float(n)] for n in range(1, 9)]
MUCH = {"x": ROWS * 2_000, "y": ROWS * 2_000}
JSON = {"Content-Type": "application/json"}


def padded(spec: dict[str, Any]) -> bytes:
    """Return a spec as JSON that is long enough for the pool."""
    return json.dumps(spec).encode() + b" " * MAX_BYTES_IN_THREAD


def test_job_of_a_large_spec_is_that_of_its_text(api: Api) -> None:
    spec = LINE | {"name": "much", "data": {"type": "inline"} | MUCH, "metadata": {"a": "1"}, "priority": 3}
    posted = api.client.post("/v1/jobs", json=spec)
    assert posted.status_code == 201, posted.text
    job = api.job(posted.json()["id"])
    assert (job["name"], job["metadata"], job["priority"]) == ("much", {"a": "1"}, 3)
    assert job["progress"]["steps"] == 100 * 3_200
    api.client.post(f"/v1/jobs/{job['id']}/cancel")


def test_job_of_a_large_spec_trains_as_that_of_a_small_one(api: Api) -> None:
    large = api.client.post("/v1/jobs", content=padded(LINE), headers=JSON).json()
    small = api.post()
    api.train()
    assert api.job(large["id"])["weights_sha256"] == api.job(small["id"])["weights_sha256"]


def test_repeated_large_post_returns_the_first_response(api: Api) -> None:
    key = {"Idempotency-Key": "large"}
    first, second = (api.client.post("/v1/jobs", content=padded(LINE), headers=JSON | key) for _ in range(2))
    assert first.status_code == second.status_code == 201
    assert first.json()["id"] == second.json()["id"]
    assert "idempotency-replayed" in second.headers


def test_large_spec_is_parsed_in_another_process(embedded: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(spec_check, "parse_spec", fail)
    for path, status in (("/v1/jobs", 201), ("/v1/jobs/validate", 200)):
        assert embedded.client.post(path, content=padded(LINE), headers=JSON).status_code == status
        assert embedded.client.post(path, json=LINE).status_code == 500


def test_large_spec_has_the_same_cost_as_a_small_one(embedded: Api) -> None:
    large = embedded.client.post("/v1/jobs/validate", content=padded(LINE), headers=JSON).json()
    assert large == embedded.client.post("/v1/jobs/validate", json=LINE).json()
    assert large["layers"]


def with_dataset(api: Api, dataset_id: str) -> dict[str, Any]:
    return LINE | {"data": {"type": "dataset", "id": dataset_id, "target": "b"}}


def test_large_spec_can_use_a_dataset(api: Api) -> None:
    table = "a,b\n1,2\n2,4\n3,6\n"
    dataset = api.client.post("/v1/datasets", content=table, headers={"Content-Type": "text/csv"}).json()["id"]
    spec = with_dataset(api, dataset)
    posted = api.client.post("/v1/jobs", content=padded(spec), headers=JSON)
    assert posted.status_code == 201, posted.text
    assert posted.json()["spec"] == spec


def test_large_spec_can_start_from_another_job(api: Api) -> None:
    start = {"start_from": {"job": api.trained()["id"], "checkpoint": "last"}}
    assert api.client.post("/v1/jobs", content=padded(LINE | start), headers=JSON).status_code == 201
    other = LINE | start | {"architecture": {"layers": [{"type": "dense", "units": 1}]}}
    refused = [
        api.client.post("/v1/jobs", content=body, headers=JSON).json()["errors"]
        for body in (json.dumps(other).encode(), padded(other))
    ]
    assert refused[0] == refused[1]
    assert refused[0][0]["pointer"] == "/architecture/layers/0"


@pytest.mark.parametrize(
    "changes",
    [
        {"architecture": {"layers": [1] * 30}},
        {"data": {"type": "inline", "x": [[1], [2]], "y": [[1], ["a"]]}},
        {"architecture": {"layers": [{"type": "dense", "units": 10**9}, {"type": "dense", "units": 1}]}},
        {"data": {"type": "dataset", "id": "ds_x", "target": "y"}},
        {"start_from": {"job": "job_x"}},
        {"loss": "hinge", "training": {"metrics": ["accuracy", "accuracy"]}},
    ],
)
def test_invalid_large_spec_has_the_problem_of_a_small_one(embedded: Api, changes: dict[str, Any]) -> None:
    for path in ("/v1/jobs", "/v1/jobs/validate"):
        small, large = (
            embedded.client.post(path, content=body, headers=JSON)
            for body in (json.dumps(LINE | changes).encode(), padded(LINE | changes))
        )
        assert small.status_code == large.status_code == 422
        assert small.json() | {"request_id": ""} == large.json() | {"request_id": ""}
