"""Jobs: create, validate, get, list, delete, idempotency."""

import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from api.schemas.job import Job
from core.store import jobs, tables
from core.store.scope import Scope
from tests.api.conftest import LINE, Api

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def test_created_job_is_returned_by_its_location(api: Api, client: TestClient) -> None:
    posted = client.post("/v1/jobs", json=LINE | {"name": "y = 2x", "metadata": {"lesson": "1"}})
    assert posted.status_code == 201
    job = posted.json()
    assert posted.headers["location"] == f"/v1/jobs/{job['id']}"
    assert re.fullmatch(r"job_[0-9a-z]{26}", job["id"])
    assert job["name"] == "y = 2x"
    assert job["status"] == "queued"
    assert job["metadata"] == {"lesson": "1"}
    assert job["spec"] == LINE | {"name": "y = 2x", "metadata": {"lesson": "1"}}
    assert job["progress"] == {
        "epoch": 0,
        "epochs": 100,
        "step": 0,
        "steps": 100,
        "fraction": 0.0,
        "seconds_left": None,
    }
    assert [(one["status"], one["actor"]) for one in job["transitions"]] == [("queued", "client")]
    assert TIME.fullmatch(job["created_at"])
    assert client.get(posted.headers["location"]).json() == job


def test_trained_job_has_results_and_transitions(api: Api) -> None:
    job = api.trained()
    assert job["status"] == "succeeded"
    assert job["stop_reason"] == "epochs_completed"
    assert job["progress"]["fraction"] == 1.0
    assert job["progress"]["step"] == 100
    assert job["latest"]["loss"] < 1e-3
    assert re.fullmatch(r"[0-9a-f]{64}", job["weights_sha256"])
    assert [one["status"] for one in job["transitions"]] == ["queued", "running", "succeeded"]
    assert all(TIME.fullmatch(job[name]) for name in ("created_at", "started_at", "ended_at"))
    Job.model_validate(job)


def test_job_has_its_estimated_memory(client: TestClient) -> None:
    estimate = client.post("/v1/jobs/validate", json=LINE).json()
    assert client.post("/v1/jobs", json=LINE).json()["memory_bytes"] == estimate["memory_bytes"] > 0


def test_higher_priority_trains_first(api: Api) -> None:
    low, high = (api.post(priority=priority, name="ranked") for priority in (-10, 10))
    assert (low["priority"], high["priority"], api.post()["priority"]) == (-10, 10, 0)
    api.train()
    low, high = api.job(low["id"]), api.job(high["id"])
    assert high["ended_at"] < low["started_at"]


@pytest.mark.parametrize("priority", [-11, 11, 0.5, "1", None])
def test_priority_out_of_range_is_refused(client: TestClient, priority: object) -> None:
    answer = client.post("/v1/jobs", json=LINE | {"priority": priority})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/priority"


def test_full_queue_gets_429_but_replays_stored_responses(start: Callable[..., Api], database: str | None) -> None:
    api = start(max_queued=2, database_url=database)
    first = api.client.post("/v1/jobs", json=LINE, headers={"Idempotency-Key": "first"})
    api.post()
    refused = api.client.post("/v1/jobs", json=LINE, headers={"Idempotency-Key": "late"})
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_jobs")
    assert int(refused.headers["retry-after"]) > 0
    again = api.client.post("/v1/jobs", json=LINE, headers={"Idempotency-Key": "first"})
    assert (again.status_code, again.json()) == (201, first.json())
    api.train()
    late = api.client.post("/v1/jobs", json=LINE, headers={"Idempotency-Key": "late"})
    assert (late.status_code, "idempotency-replayed" in late.headers) == (201, False)


def test_response_is_a_consistent_snapshot(api: Api, client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    posted, with_spec = api.post(), jobs.with_spec

    def with_spec_then_pause(s: Session, scope: Scope, job_id: str) -> tuple[tables.Job, tables.Spec]:
        found = with_spec(s, scope, job_id)
        with api.services.database.begin() as another:
            jobs.pause(another, scope, job_id)
        return found

    monkeypatch.setattr(jobs, "with_spec", with_spec_then_pause)
    job = api.job(posted["id"])
    assert (job["status"], [one["status"] for one in job["transitions"]]) == ("queued", ["queued"])


def test_spec_is_returned_as_posted(client: TestClient) -> None:
    text = json.dumps(LINE, indent=3).replace("0.01", "1e-2")
    posted = client.post("/v1/jobs", content=text, headers={"Content-Type": "application/json"})
    assert '"learning_rate": 1e-2' in posted.text
    assert posted.json()["spec"] == LINE


def test_latest_is_the_newest_job(api: Api, client: TestClient) -> None:
    newest = api.post()
    assert client.get("/v1/jobs/latest").json()["id"] == newest["id"]


@pytest.mark.parametrize("name", ["job_00000000000000000000000000", "latestt", "x", "%00", "..%2f..", "job_%00"])
@pytest.mark.parametrize("path", ["", "/metrics", "/events", "/checkpoints"])
def test_unknown_job_gets_404(client: TestClient, name: str, path: str) -> None:
    answer = client.get(f"/v1/jobs/{name}{path}")
    assert answer.status_code == 404
    assert answer.json()["code"] in {"unknown_job", "unknown_path"}


def test_latest_without_jobs_gets_404(start: Any) -> None:
    assert start().client.get("/v1/jobs/latest").json()["code"] == "unknown_job"


def test_list_is_paged_newest_first(api: Api, client: TestClient) -> None:
    created = [api.post(name="paged")["id"] for _ in range(5)][::-1]
    first = client.get("/v1/jobs?name=paged&limit=2").json()
    api.post(name="paged")
    second = client.get("/v1/jobs", params={"name": "paged", "limit": 2, "cursor": first["next_cursor"]}).json()
    third = client.get("/v1/jobs", params={"name": "paged", "limit": 2, "cursor": second["next_cursor"]}).json()
    assert [job["id"] for page in (first, second, third) for job in page["items"]] == created
    assert third["next_cursor"] is None
    assert not {"spec", "transitions"} & set(first["items"][0])


def query(pairs: int) -> str:
    return "&".join(f"metadata[k{n}]=v" for n in range(pairs))


def test_list_filters_by_up_to_16_keys(api: Api, client: TestClient) -> None:
    job = api.post(metadata={f"k{n}": "v" for n in range(16)})["id"]
    assert [one["id"] for one in client.get(f"/v1/jobs?{query(16)}").json()["items"]] == [job]


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        (query(17), "metadata[k16]"),
        (query(60), "metadata[k16]"),
        ("metadata[a]=1&metadata[a]=2", "metadata[a]"),
        (f"metadata[a]={'v' * 513}", "metadata[a]"),
        (f"metadata[{'k' * 65}]=v", f"metadata[{'k' * 65}]"),
        ("&".join(["status=queued"] * 9), "status"),
        (f"name={'n' * 501}", "name"),
        (f"cursor={'c' * 501}", "cursor"),
    ],
)
def test_list_refuses_too_much_to_select_by(client: TestClient, query: str, parameter: str) -> None:
    answer = client.get(f"/v1/jobs?{query}")
    assert answer.status_code == 422, answer.text
    assert [error["parameter"] for error in answer.json()["errors"]] == [parameter]


def test_list_filters_by_status_and_metadata(api: Api, client: TestClient) -> None:
    one, two = api.post(metadata={"a": "1", "b": "2"})["id"], api.post(metadata={"a": "1"})["id"]
    client.post(f"/v1/jobs/{two}/cancel")

    def ids(query: str) -> list[str]:
        return [job["id"] for job in client.get(f"/v1/jobs?limit=100&{query}").raise_for_status().json()["items"]]

    assert ids("metadata[a]=1") == [two, one]
    assert ids("metadata[a]=1&metadata[b]=2") == [one]
    assert ids("metadata[a]=2") == []
    assert one in ids("status=queued")
    assert two not in ids("status=queued")
    assert {one, two} <= set(ids("status=queued&status=cancelled"))


BAD_QUERIES = [
    ("limit=0", "limit"),
    ("limit=101", "limit"),
    ("limit=x", "limit"),
    ("status=done", "status"),
    ("name=a%00", "name"),
    ("color=red", "color"),
    ("metadata[a]=%00", "metadata[a]"),
]


@pytest.mark.parametrize(("query", "parameter"), BAD_QUERIES)
def test_invalid_parameter_is_named(client: TestClient, query: str, parameter: str) -> None:
    problem = client.get(f"/v1/jobs?{query}")
    assert problem.status_code == 422
    assert problem.json()["code"] == "invalid_parameter"
    assert parameter in {error["parameter"] for error in problem.json()["errors"]} | {"status"}


@pytest.mark.parametrize("cursor", ["x", "%00", "a" * 400, "bnVsbA=="])
def test_invalid_cursor_is_refused(client: TestClient, cursor: str) -> None:
    problem = client.get(f"/v1/jobs?cursor={cursor}").json()
    assert problem["code"] in {"invalid_cursor", "invalid_parameter"}


def test_delete_removes_an_ended_job_with_all_its_data(api: Api, client: TestClient) -> None:
    queued = api.post()["id"]
    assert client.delete(f"/v1/jobs/{queued}").json()["state"] == "queued"
    api.train()
    assert client.delete(f"/v1/jobs/{queued}").status_code == 204
    for path in ("", "/metrics", "/checkpoints", "/events"):
        assert client.get(f"/v1/jobs/{queued}{path}").status_code == 404
    assert client.delete(f"/v1/jobs/{queued}").status_code == 404


def test_validate_returns_the_cost_and_creates_nothing(client: TestClient) -> None:
    before = client.get("/v1/jobs").json()
    estimate = client.post("/v1/jobs/validate", json=LINE).json()
    assert estimate["parameters"] == 1
    assert estimate["steps"] == 100
    assert estimate["layers"] == [
        {"pointer": "/architecture/layers/0", "type": "dense", "output_shape": [1], "parameters": 1}
    ]
    assert estimate["memory_bytes"] > 0
    assert estimate["flops"] > 0
    assert client.get("/v1/jobs").json() == before


def test_same_key_and_body_return_the_first_response(api: Api, client: TestClient) -> None:
    headers = {"Idempotency-Key": "once"}
    first = client.post("/v1/jobs", json=LINE | {"name": "once"}, headers=headers)
    api.train()
    again = client.post("/v1/jobs", json=LINE | {"name": "once"}, headers=headers)
    assert (again.status_code, again.text) == (201, first.text)
    assert again.headers["location"] == first.headers["location"]
    assert len(client.get("/v1/jobs?name=once").json()["items"]) == 1


def test_same_key_with_another_body_is_refused(client: TestClient) -> None:
    headers = {"Idempotency-Key": "other"}
    client.post("/v1/jobs", json=LINE, headers=headers)
    problem = client.post("/v1/jobs", json=LINE | {"name": "other"}, headers=headers)
    assert problem.status_code == 422
    assert problem.json()["code"] == "idempotency_key_reused"


def test_refused_body_does_not_use_the_key(client: TestClient) -> None:
    headers = {"Idempotency-Key": "refused"}
    assert client.post("/v1/jobs", json={}, headers=headers).status_code == 422
    assert client.post("/v1/jobs", json=LINE, headers=headers).status_code == 201


def test_concurrent_requests_with_one_key_create_one_job(client: TestClient) -> None:
    def post(_: int) -> Any:
        return client.post("/v1/jobs", json=LINE | {"name": "crowd"}, headers={"Idempotency-Key": "crowd"})

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(post, range(16)))
    created = {answer.json()["id"] for answer in answers if answer.status_code == 201}
    assert len(created) == 1
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len(client.get("/v1/jobs?name=crowd").json()["items"]) == 1


@pytest.mark.parametrize("key", [b"", b"a b", "ä".encode(), b"x" * 256])
def test_key_that_is_not_printable_ascii_is_refused(client: TestClient, key: bytes) -> None:
    problem = client.post("/v1/jobs", json=LINE, headers={b"Idempotency-Key": key})
    assert problem.status_code == 422
    assert problem.json()["errors"][0]["parameter"] == "Idempotency-Key"


def test_confusion_matrix_is_in_the_job_but_not_in_the_list(api: Api) -> None:
    x = [[0.0, 1.0], [1.0, 0.0], [1.0, 1.0], [0.0, 0.0]] * 5
    y = ["cat", "dog", "owl", "owl"] * 5
    job = api.trained(
        data={"type": "inline", "x": x, "y": y, "validation": {"fraction": 0.25, "stratify": True}},
        architecture={"layers": [{"type": "dense", "units": 16, "activation": "relu"}, {"type": "dense", "units": 3}]},
        optimizer={"type": "adam", "learning_rate": 0.05},
        training={"epochs": 60, "batch_size": 4, "seed": 1, "metrics": ["accuracy", "confusion_matrix"]},
    )
    shown = api.job(job["id"])
    tables = shown["confusion_matrix"]
    assert [sum(map(sum, tables[split])) for split in ("train", "validation")] == [15, 5]
    assert [sum(row) for row in tables["validation"]] == [1, 1, 3]
    right = sum(tables["train"][place][place] for place in range(3))
    assert shown["latest"]["accuracy"] == pytest.approx(right / 15)
    assert shown["latest"]["error_rate"] == pytest.approx(1 - right / 15)
    assert "confusion_matrix" not in shown["latest"]
    assert (tables["classes"], tables["rows"], tables["columns"]) == (["cat", "dog", "owl"], "true", "predicted")
    assert tables["test"] is None
    wrong = sum(map(sum, tables["best"]["validation"])) - sum(tables["best"]["validation"][n][n] for n in range(3))
    at_best = api.client.get(f"/v1/jobs/{job['id']}/metrics?name=val_error_rate&limit=1000").json()["items"]
    assert tables["best"]["epoch"] == shown["best"]["epoch"]
    assert wrong / 5 == pytest.approx(at_best[shown["best"]["epoch"] - 1]["value"])
    assert "tables" not in shown["latest"]
    listed = api.client.get("/v1/jobs").json()["items"][0]
    assert "confusion_matrix" not in listed
    assert api.trained()["confusion_matrix"] is None


@pytest.mark.parametrize("monitor", ["val_error_rate", "val_confusion_matrix"])
@pytest.mark.parametrize(("y", "classes"), [(["1", "01"], ["01", "1"]), ([0, 1], ["0", "1"])], ids=["texts", "numbers"])
def test_confusion_matrix_names_classes_and_its_value_can_be_monitored(
    api: Api, monitor: str, y: list[str | int], classes: list[str]
) -> None:
    job = api.trained(
        data={"type": "inline", "x": [[0.0], [1.0]] * 4, "y": y * 4, "validation": {"fraction": 0.5, "stratify": True}},
        architecture={"layers": [{"type": "dense", "units": 1}]},
        loss="binary_cross_entropy",
        training={
            "epochs": 3,
            "seed": 1,
            "metrics": ["confusion_matrix"],
            "early_stopping": {"monitor": monitor, "patience": 3},
        },
    )
    shown = api.job(job["id"])
    assert shown["confusion_matrix"]["classes"] == classes
    assert shown["best"]["metric"] == "val_error_rate"
    table = shown["confusion_matrix"]["validation"]
    assert shown["latest"]["val_error_rate"] == pytest.approx((table[0][1] + table[1][0]) / 4)
    names = {row["name"] for row in api.client.get(f"/v1/jobs/{job['id']}/metrics").json()["items"]}
    assert "error_rate" in names
    assert not any("confusion" in name for name in names)


def test_spec_with_a_byte_order_mark_is_stored_without_it(client: TestClient) -> None:
    body = b"\xef\xbb\xbf" + json.dumps(LINE).encode()
    posted = client.post("/v1/jobs", content=body, headers={"Content-Type": "application/json"}).json()
    assert posted["spec"] == client.get(f"/v1/jobs/{posted['id']}").json()["spec"] == LINE


def test_layer_with_a_name_given_twice_is_refused(client: TestClient) -> None:
    body = json.dumps(LINE).replace('"units": 1', '"units": 1, "units": 2')
    for path in ("/v1/jobs", "/v1/jobs/validate"):
        answer = client.post(path, content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 422
        assert answer.json()["errors"] == [
            {"pointer": "/architecture/layers/0/units", "message": "is given twice: leave one of them out"}
        ]
