"""The limits of what the service stores, as a client meets them: what is refused, and what makes room."""

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import select, update

from core.store import garbage, jobs, totals
from core.store.tables import IdempotencyKey, Spec, Totals
from core.store.totals import Amounts
from tests.api.conftest import LINE, Api

JSON = {"Content-Type": "application/json"}
LARGE_BYTES = 100_000

Start = Callable[..., Api]


@pytest.fixture
def starting(start: Start, database_url: str) -> Start:
    """Return a function that starts an API with limits on a fresh database of each kind."""
    return lambda **limits: start(database_url=database_url, **limits)


def post_large(api: Api, number: int = 0, key: str | None = None) -> Any:
    """Post y = 2x as a body of `LARGE_BYTES`, a different one for each number."""
    text = json.dumps(LINE | {"name": f"large {number}"}).ljust(LARGE_BYTES)
    headers = JSON | ({"Idempotency-Key": key} if key else {})
    return api.client.post("/v1/jobs", content=text, headers=headers)


def upload(api: Api, number: int) -> Any:
    """Upload a table of 8 bytes."""
    return api.client.post("/v1/datasets", content=f"x,y\n{number},2\n", headers={"Content-Type": "text/csv"})


def refused(answer: Any, status: int, code: str) -> str:
    """Check the problem and return its message."""
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    return str(answer.json()["detail"])


def test_queue_takes_specs_up_to_their_total_size(starting: Start) -> None:
    api = starting(max_queued_spec_bytes=2 * LARGE_BYTES)
    first, second = post_large(api, 1).json()["id"], post_large(api, 2).json()["id"]
    blobs = api.services.blobs.names()
    answer = post_large(api, 3)
    assert "have 200,000 bytes, and 200,000 are allowed" in refused(answer, 429, "queue_too_large")
    assert int(answer.headers["retry-after"]) > 0
    assert api.services.blobs.names() == blobs  # nothing of a refused job is stored
    api.client.post(f"/v1/jobs/{first}/pause").raise_for_status()
    refused(post_large(api, 3), 429, "queue_too_large")  # a paused job may be queued again
    api.client.post(f"/v1/jobs/{second}/cancel").raise_for_status()
    assert post_large(api, 3).status_code == 201
    refused(post_large(api, 4), 429, "queue_too_large")
    api.train()
    assert post_large(api, 4).status_code == 201


def test_concurrent_posts_keep_the_limit(starting: Start) -> None:
    api = starting(max_spec_bytes=3 * LARGE_BYTES)
    with ThreadPoolExecutor(6) as pool:
        codes = sorted(answer.status_code for answer in pool.map(lambda n: post_large(api, n), range(6)))
    assert codes == [201, 201, 201, 507, 507, 507]


@pytest.mark.parametrize("limit", ["jobs", "spec_bytes", "metric_rows", "checkpoint_bytes"])
def test_deleting_an_ended_job_makes_room_at_once(starting: Start, limit: str) -> None:
    needs = {
        "jobs": 1,
        "spec_bytes": len(json.dumps(LINE, separators=(",", ":"))),
        "metric_rows": 100 + 101 * 5,
        "checkpoint_bytes": 2 * (2**14 + 4 * 2),
    }
    api = starting(**{f"max_{limit}": 2 * needs[limit]})
    ended, other = api.trained()["id"], api.trained()["id"]
    cost = api.client.post("/v1/jobs/validate", json=LINE).json()
    assert (cost["metric_rows"], cost["checkpoint_bytes"]) == (needs["metric_rows"], needs["checkpoint_bytes"])
    for _ in range(50):  # ended jobs have fewer rows and smaller checkpoints than they might have needed
        if (answer := api.client.post("/v1/jobs", json=LINE)).status_code != 201:
            break
        api.train()
    message = refused(answer, 507, "storage_limit_reached")
    assert f"raise CHAINRULE_MAX_{limit.upper()}" in message
    assert ended in message or other in message
    refused(api.client.post(f"/v1/jobs/{ended}/continue", json={"epochs": 1}), 507, "storage_limit_reached")
    newest = api.client.get("/v1/jobs?limit=1").json()["items"][0]["id"]
    assert api.client.get(f"/v1/jobs/{newest}").json()["status"] == "succeeded"  # no accepted job fails
    while api.client.post("/v1/jobs", json=LINE).status_code != 201:
        assert api.client.delete(f"/v1/jobs/{newest}").status_code == 204
        newest = api.client.get("/v1/jobs?limit=1").json()["items"][0]["id"]


def test_datasets_have_a_total_size(starting: Start) -> None:
    api = starting(max_dataset_bytes=20)
    used, free = upload(api, 1).json()["id"], upload(api, 2).json()["id"]
    job = api.post(data={"type": "dataset", "id": used, "target": "y"})["id"]
    message = refused(upload(api, 3), 507, "storage_limit_reached")
    assert "16 of 20 bytes of datasets are in use, and this request needs 8" in message
    assert f"delete datasets that no job needs, such as {free} (8), or raise CHAINRULE_MAX_DATASET_BYTES" in message
    assert api.client.delete(f"/v1/datasets/{free}").status_code == 204
    assert upload(api, 3).status_code == 201
    assert api.client.get(f"/v1/jobs/{job}").status_code == 200


def test_upload_without_a_length_is_refused_after_it_was_read(starting: Start) -> None:
    api = starting(max_dataset_bytes=20)
    upload(api, 1), upload(api, 2)
    pieces = (piece for piece in (b"x,y\n", b"3,2\n"))
    answer = api.client.post("/v1/datasets", content=pieces, headers={"Content-Type": "text/csv"})
    refused(answer, 507, "storage_limit_reached")
    assert len(api.client.get("/v1/datasets").json()["items"]) == 2


def test_number_of_datasets_has_a_limit(starting: Start) -> None:
    api = starting(max_datasets=1)
    first = upload(api, 1).json()["id"]
    assert f"delete datasets that no job needs, such as {first}, or" in refused(
        upload(api, 2), 507, "storage_limit_reached"
    )


def test_large_spec_is_a_blob_and_is_returned_as_posted(starting: Start) -> None:
    api = starting()
    rows = [[number / 8_000] for number in range(8_000)]
    spec = LINE | {"data": {"type": "inline", "x": rows, "y": rows}, "training": {"epochs": 1, "batch_size": 500}}
    text = json.dumps(spec)
    first = api.client.post("/v1/jobs", content=text, headers=JSON | {"Idempotency-Key": "key"})
    job = first.json()
    assert len(first.content) < 5_000
    assert (job["spec_bytes"], job["spec"]["architecture"]) == (len(text), LINE["architecture"])
    assert job["spec"]["data"]["x"].startswith("omitted: GET")
    assert api.services.blobs.read(job["spec_sha256"]).decode() == text
    assert api.client.get(f"/v1/jobs/{job['id']}/spec").text == text
    again = api.client.post("/v1/jobs", content=text, headers=JSON | {"Idempotency-Key": "key"})
    assert (again.headers["idempotency-replayed"], again.text) == ("true", first.text)
    with api.services.database.read() as s:
        stored = s.scalars(select(IdempotencyKey.response)).one()
        assert stored is not None
        assert len(stored) < 2_000
    api.train()
    assert api.job(job["id"])["status"] == "succeeded"
    use_everything(api, job["id"], rows)


def use_everything(api: Api, job_id: str, rows: list[list[float]]) -> None:
    """Predict, inspect, start from and continue a job whose spec is a blob; delete it, and collect its blob."""
    address = f"/v1/jobs/{job_id}"
    sha256 = api.job(job_id)["spec_sha256"]
    batch = {"instances": rows[:3], "targets": rows[:3]}
    assert api.client.post(f"{address}/predictions", json={"instances": rows[:1]}).status_code == 200
    assert api.client.post(f"{address}/inspect", json=batch).status_code == 200
    started = api.post(start_from={"job": job_id})["id"]
    continued = api.client.post(f"{address}/continue", json={"epochs": 1}).json()["id"]
    api.train()
    assert {api.job(one)["status"] for one in (started, continued)} == {"succeeded"}
    longer = json.loads(api.client.get(f"/v1/jobs/{continued}/spec").text)
    assert (longer["training"]["epochs"], longer["data"]["x"]) == (2, rows)
    api.client.delete(address).raise_for_status()
    blobs = api.services.blobs
    for name in blobs.names():
        os.utime(blobs.path(name), (1, 1))
    assert sha256 in garbage.collect(api.services.database, blobs)
    assert blobs.read(api.job(continued)["spec_sha256"])


@pytest.mark.parametrize("damage", ["removed", "changed"])
def test_job_with_a_damaged_spec_fails_and_says_so(starting: Start, damage: str) -> None:
    api = starting()
    job = post_large(api).json()
    path = api.services.blobs.path(job["spec_sha256"])
    path.unlink() if damage == "removed" else path.write_bytes(path.read_bytes()[:-1])
    answer = api.client.get(f"/v1/jobs/{job['id']}/spec")
    assert (answer.status_code, answer.json()["code"]) == (
        500,
        {"removed": "missing_file", "changed": "damaged_file"}[damage],
    )
    api.train()
    ended = api.job(job["id"])
    assert (ended["status"], ended["error"]["code"]) == ("failed", "damaged_spec")
    assert "post the job again" in ended["error"]["message"]
    again = post_large(api).json()
    api.train()
    assert (again["spec_sha256"], api.job(again["id"])["status"]) == (job["spec_sha256"], "succeeded")


def test_large_spec_in_a_row_of_an_older_version_still_trains(starting: Start) -> None:
    api = starting()
    job = api.post()
    text = json.dumps(LINE) + " " * LARGE_BYTES
    with api.services.database.begin() as s:
        s.execute(update(Spec).values(json=text))
    assert api.client.get(f"/v1/jobs/{job['id']}/spec").text == text
    assert api.job(job["id"])["spec"] == LINE
    api.train()
    assert api.job(job["id"])["status"] == "succeeded"


def test_idempotency_key_is_deleted_with_its_job(starting: Start) -> None:
    api = starting()
    first = post_large(api, key="key").json()["id"]
    api.train()
    api.client.delete(f"/v1/jobs/{first}").raise_for_status()
    again = post_large(api, key="key")
    assert (again.status_code, again.json()["id"] == first) == (201, False)


def test_job_cannot_be_paused_without_end(starting: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    api = starting()
    monkeypatch.setattr(jobs, "MAX_TRANSITIONS", 7)
    job_id = api.post()["id"]
    for _ in range(3):
        api.client.post(f"/v1/jobs/{job_id}/pause").raise_for_status()
        api.client.post(f"/v1/jobs/{job_id}/resume").raise_for_status()
    message = refused(api.client.post(f"/v1/jobs/{job_id}/pause"), 409, "wrong_state")
    assert "cannot be paused: it has changed its status 7 times; let it run" in message
    api.train()
    assert api.job(job_id)["status"] == "succeeded"


def test_api_counts_anew_what_another_version_has_written(starting: Start) -> None:
    api = starting()
    api.post()
    with api.services.database.begin() as s:
        s.execute(update(Totals).values(jobs=5, spec_bytes=0))
    again = starting()
    with again.services.database.read() as s:
        assert totals.stored(s) == totals.counted(s) != {"": Amounts()}


def test_totals_are_metrics_with_their_limits(starting: Start) -> None:
    api = starting(max_jobs=17)
    api.post()
    lines = api.client.get("/metrics").text.splitlines()
    assert 'chainrule_stored{amount="jobs"} 1.0' in lines
    assert 'chainrule_stored_limit{amount="jobs"} 17.0' in lines
