"""Every wish in every state: what is answered, and what becomes of the job."""

from typing import Any

import numpy as np
import pytest

from core.jobs.states import ACTIVE, Status
from core.store import jobs, leases
from core.store.scope import EVERYTHING
from tests.api.conftest import Api

DIVERGING = {"type": "sgd", "learning_rate": 1e10}

AFTER: dict[Status, dict[str, str]] = {  # what the job is after each wish that is granted
    Status.QUEUED: {"cancel": "cancelled", "pause": "paused"},
    Status.RUNNING: {"cancel": "cancelling", "pause": "pausing"},
    Status.PAUSING: {"cancel": "cancelling", "pause": "pausing"},
    Status.PAUSED: {"cancel": "cancelled", "pause": "paused", "resume": "queued"},
    Status.CANCELLING: {"cancel": "cancelling"},
    Status.SUCCEEDED: {"delete": "", "continue": "succeeded"},
    Status.FAILED: {"delete": ""},
    Status.CANCELLED: {"delete": "", "cancel": "cancelled"},
}
WISHES: dict[str, tuple[str, str, Any]] = {
    "cancel": ("POST", "/cancel", None),
    "cancel, keep best": ("POST", "/cancel?keep=best", None),
    "cancel, keep none": ("POST", "/cancel?keep=none", None),
    "pause": ("POST", "/pause", None),
    "resume": ("POST", "/resume", None),
    "delete": ("DELETE", "", None),
    "continue": ("POST", "/continue", {"epochs": 1}),
}
ANSWERS = {"delete": 204, "continue": 201}


def in_state(api: Api, status: Status) -> str:
    """A job that got to `status` by the ways that a client and a worker have."""
    if status in {Status.SUCCEEDED, Status.FAILED}:
        with np.errstate(all="ignore"):
            return str(api.trained(**({} if status is Status.SUCCEEDED else {"optimizer": DIVERGING}))["id"])
    job_id = str(api.post(priority=10)["id"])
    if status in ACTIVE:
        with api.services.database.begin() as s:
            claimed = leases.claim(s, "w", 3600.0)
        assert claimed is not None
        assert claimed.id == job_id
    wish = {Status.PAUSING: "pause", Status.PAUSED: "pause", Status.CANCELLING: "cancel", Status.CANCELLED: "cancel"}
    if status in wish:
        api.client.post(f"/v1/jobs/{job_id}/{wish[status]}").raise_for_status()
    return job_id


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("wish", WISHES)
def test_every_wish_in_every_state(api: Api, status: Status, wish: str) -> None:
    job_id = in_state(api, status)
    before = api.job(job_id)
    assert before["status"] == status
    assert (before["worker"], before["heartbeat_at"] is not None) == (
        ("w", True) if status in ACTIVE else (None, status in {Status.SUCCEEDED, Status.FAILED})
    )
    method, path, body = WISHES[wish]
    answer = api.client.request(method, f"/v1/jobs/{job_id}{path}", json=body)
    granted = AFTER[status].get(wish.partition(",")[0])
    if granted is None:
        assert (answer.status_code, answer.json()["code"], answer.json()["state"]) == (409, "wrong_state", status)
        assert api.job(job_id) == before
        return
    assert answer.status_code == ANSWERS.get(wish, 200), answer.text
    if wish == "delete":
        assert api.client.get(f"/v1/jobs/{job_id}").status_code == 404
        return
    after = api.job(job_id)
    assert after["status"] == granted
    if wish == "continue":
        assert after == before
        assert (answer.json()["status"], answer.json()["continues"]) == ("queued", job_id)
        return
    assert answer.json() == after
    said = [(one["status"], one["actor"]) for one in after["transitions"][len(before["transitions"]) :]]
    assert said == ([] if granted == status else [(granted, "client")])
    if "keep" in wish and granted != status:
        with api.services.database.read() as s:
            assert jobs.get(s, EVERYTHING, job_id).keep == wish.rsplit(maxsplit=1)[-1]


@pytest.fixture(autouse=True)
def _nothing_waits(api: Api) -> Any:
    """Jobs of the tests before do not stand in the way."""
    yield
    for status in ("queued", "paused"):
        for job in api.client.get(f"/v1/jobs?status={status}&limit=100").json()["items"]:
            api.client.post(f"/v1/jobs/{job['id']}/cancel")
