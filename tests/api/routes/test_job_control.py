"""Every action on a job in every status: the response, and the job's status afterwards."""

from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from core.jobs.states import ACTIVE, Status
from core.store import jobs, leases
from core.store.scope import EVERYTHING
from tests.api.conftest import Api

DIVERGING = {"type": "sgd", "learning_rate": 1e10}

STATUS_AFTER: dict[Status, dict[str, str]] = {  # the status after each allowed action
    Status.QUEUED: {"cancel": "cancelled", "pause": "paused"},
    Status.RUNNING: {"cancel": "cancelling", "pause": "pausing"},
    Status.PAUSING: {"cancel": "cancelling", "pause": "pausing"},
    Status.PAUSED: {"cancel": "cancelled", "pause": "paused", "resume": "queued"},
    Status.CANCELLING: {"cancel": "cancelling"},
    Status.SUCCEEDED: {"delete": "", "continue": "succeeded"},
    Status.FAILED: {"delete": ""},
    Status.CANCELLED: {"delete": "", "cancel": "cancelled"},
}
ACTIONS: dict[str, tuple[str, str, Any]] = {
    "cancel": ("POST", "/cancel", None),
    "cancel, keep best": ("POST", "/cancel?keep=best", None),
    "cancel, keep none": ("POST", "/cancel?keep=none", None),
    "pause": ("POST", "/pause", None),
    "resume": ("POST", "/resume", None),
    "delete": ("DELETE", "", None),
    "continue": ("POST", "/continue", {"epochs": 1}),
}
STATUS_CODES = {"delete": 204, "continue": 201}


def in_state(api: Api, status: Status) -> str:
    """Create a job and bring it to `status` by requests and a worker's writes."""
    if status in {Status.SUCCEEDED, Status.FAILED}:
        with np.errstate(all="ignore"):
            return str(api.trained(**({} if status is Status.SUCCEEDED else {"optimizer": DIVERGING}))["id"])
    job_id = str(api.post(priority=10)["id"])
    if status in ACTIVE:
        with api.services.database.begin() as s:
            claimed = leases.claim(s, "w", 3600.0)
        assert claimed is not None
        assert claimed.id == job_id
    requests = {
        Status.PAUSING: "pause",
        Status.PAUSED: "pause",
        Status.CANCELLING: "cancel",
        Status.CANCELLED: "cancel",
    }
    if status in requests:
        api.client.post(f"/v1/jobs/{job_id}/{requests[status]}").raise_for_status()
    return job_id


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("action", ACTIONS)
def test_action_in_every_status(api: Api, status: Status, action: str) -> None:
    job_id = in_state(api, status)
    before = api.job(job_id)
    assert before["status"] == status
    assert (before["worker"], before["heartbeat_at"] is not None) == (
        ("w", True) if status in ACTIVE else (None, status in {Status.SUCCEEDED, Status.FAILED})
    )
    method, path, body = ACTIONS[action]
    answer = api.client.request(method, f"/v1/jobs/{job_id}{path}", json=body)
    expected = STATUS_AFTER[status].get(action.partition(",")[0])
    if expected is None:
        assert (answer.status_code, answer.json()["code"], answer.json()["state"]) == (409, "wrong_state", status)
        assert api.job(job_id) == before
        return
    assert answer.status_code == STATUS_CODES.get(action, 200), answer.text
    if action == "delete":
        assert api.client.get(f"/v1/jobs/{job_id}").status_code == 404
        return
    after = api.job(job_id)
    assert after["status"] == expected
    if action == "continue":
        assert after == before
        assert (answer.json()["status"], answer.json()["continues"]) == ("queued", job_id)
        return
    assert answer.json() == after
    changes = [(one["status"], one["actor"]) for one in after["transitions"][len(before["transitions"]) :]]
    assert changes == ([] if expected == status else [(expected, "client")])
    if "keep" in action and expected != status:
        with api.services.database.read() as s:
            assert jobs.get(s, EVERYTHING, job_id).keep == action.rsplit(maxsplit=1)[-1]


@pytest.fixture(autouse=True)
def _cancel_queued_jobs(api: Api) -> Any:
    """Cancel the jobs that a test left queued."""
    yield
    for status in ("queued", "paused"):
        for job in api.client.get(f"/v1/jobs?status={status}&limit=100").json()["items"]:
            api.client.post(f"/v1/jobs/{job['id']}/cancel")


def test_second_cancel_changes_nothing(api: Api, client: TestClient) -> None:
    job = api.post()["id"]
    first = client.post(f"/v1/jobs/{job}/cancel?keep=none")
    assert first.status_code == 200
    assert first.json()["status"] == "cancelled"
    assert first.json()["stop_reason"] == "cancelled"
    assert client.post(f"/v1/jobs/{job}/cancel").json() == first.json()


def test_paused_job_resumes(api: Api, client: TestClient) -> None:
    job = api.post()["id"]
    assert client.post(f"/v1/jobs/{job}/pause").json()["status"] == "paused"
    assert client.post(f"/v1/jobs/{job}/resume").json()["status"] == "queued"
    api.train()
    assert api.job(job)["status"] == "succeeded"


@pytest.mark.parametrize("action", ["cancel", "pause", "resume"])
def test_action_on_an_ended_job_gets_409(api: Api, client: TestClient, action: str) -> None:
    job = api.trained()["id"]
    problem = client.post(f"/v1/jobs/{job}/{action}")
    assert problem.status_code == 409
    assert problem.json()["code"] == "wrong_state"
    assert problem.json()["state"] == "succeeded"


@pytest.mark.parametrize("size", [2**16, 2**22])
def test_long_continuation_is_refused_unparsed(embedded: Api, size: int) -> None:
    job = embedded.trained()
    body = b'{"epochs": 5}'
    send = {"Content-Type": "application/json"}
    path = f"/v1/jobs/{job['id']}/continue"
    answer = embedded.client.post(path, content=body + b" " * (size + 1 - len(body)), headers=send)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [""]
    assert "send only what changes" in answer.json()["detail"]
    longest = embedded.client.post(path, content=body + b" " * (2**16 - len(body)), headers=send)
    assert longest.status_code == 201
