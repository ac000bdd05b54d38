"""Processes of two versions on one database at the same migration, under a little load: this one and an older copy."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from core import VERSION
from core.store.migrate import upgrade
from core.versions import ARITHMETIC, VOCABULARY
from harness.processes import Processes
from harness.versions.trees import MISSING_LAYER, OLDER_VERSION
from tests.versions.service import (
    ENDLESS,
    KINDS,
    LONG,
    SHORT,
    TwoVersions,
    cancelled,
    claims,
    job,
    post,
    post_under_load,
    refusal,
    two_versions,
)

NEW_LAYERS = {"layers": [{"type": "dense", "units": 4}, MISSING_LAYER, {"type": "dense", "units": 2}]}
NEW = SHORT | {"architecture": NEW_LAYERS}
"""A job whose layer the older version does not know."""
ROWS: dict[str, Any] = {"instances": [[0.1, 0.2]], "targets": [0]}


@pytest.mark.parametrize("kind", KINDS)
def test_jobs_survive_versions_side_by_side_and_a_rollback(kind: str, tmp_path: Path, older: Path) -> None:
    with two_versions(kind, tmp_path, older) as both:
        upgrade(both.this.settings.resolved_database_url)
        older_api, older_worker = both.other.start_api(), both.other.start_worker()
        begun = post(both.other, ENDLESS)
        both.this.until(lambda: job(both.other, begun)["progress"]["step"] > 300, "the older worker trains")
        both.this.start_api()
        worker = both.this.start_worker()
        check_both_ways(both, older_worker.pid, worker.pid)
        check_refusals(both, both.ended(post(both.this, NEW), both.this)["id"])
        check_resumed_with_other_arithmetic(both, begun, older_worker)
        older_worker = check_rollback(both, worker)
        both.stop(older_worker)
        both.stop(older_api)


def check_both_ways(both: TwoVersions, older_pid: int, pid: int) -> None:
    """Each version's API accepts jobs for which there is a worker; the older worker claims none of a newer version."""
    old, new = post_under_load(both.other), post_under_load(both.this, NEW)
    for job_id in old:
        found = both.ended(job_id, both.this)
        assert (found["status"], found["reproducible"]) == ("succeeded", True), found
        assert set(claims(found)) <= {older_pid, pid}
    for job_id in new:
        found = both.ended(job_id, both.other)
        assert (found["status"], found["reproducible"], claims(found)) == ("succeeded", True, [pid]), found
        assert found["made_for"] == {"version": VERSION, "vocabulary": VOCABULARY, "arithmetic": ARITHMETIC}


def check_refusals(both: TwoVersions, job_id: str) -> None:
    """The older API answers 409 where it needs a checkpoint or a spec that it does not know, and shows the job."""
    for path, body in (
        (f"/v1/jobs/{job_id}/predictions", {"instances": [[0.1, 0.2]]}),
        (f"/v1/jobs/{job_id}/inspect", ROWS),
        (f"/v1/jobs/{job_id}/check_gradient", ROWS),
        (f"/v1/jobs/{job_id}/continue", {"epochs": 1}),
        ("/v1/jobs", SHORT | {"start_from": {"job": job_id}}),
    ):
        answer = httpx.post(f"{both.other.url}{path}", json=body, timeout=60)
        assert (answer.status_code, answer.json()["code"]) == (409, "unknown_version"), (path, answer.text)
    assert job(both.other, job_id)["spec"]["architecture"] == NEW_LAYERS
    answer = httpx.post(f"{both.this.url}/v1/jobs/{job_id}/predictions", json={"instances": [[0.1, 0.2]]}, timeout=60)
    assert answer.status_code == 200, answer.text


def check_resumed_with_other_arithmetic(both: TwoVersions, job_id: str, older_worker: Any) -> None:
    """A job that the older worker began ends with this version, and says that it cannot be repeated."""
    both.stop(older_worker)
    found = cancelled(both, job_id, both.this)
    assert (found["status"], found["reproducible"], found["exact"]) == ("cancelled", False, None), found
    (message,) = [one["message"] for one in found["transitions"] if "not reproducible" in one["message"]]
    assert f"arithmetic {ARITHMETIC}, " in message
    assert "arithmetic 0, " in message
    answer = httpx.post(f"{both.this.url}/v1/jobs/{job_id}/continue", json={"epochs": 1}, timeout=60).json()
    assert (answer["exact"], answer["reproducible"]) == (False, False)
    assert both.ended(answer["id"], both.this)["status"] == "succeeded"


def check_rollback(both: TwoVersions, worker: Any) -> Any:
    """Jobs of this version wait while only older workers are there, and end as undisturbed when this one returns."""
    undisturbed = both.ended(post(both.this, LONG), both.this)
    job_id = post(both.this, LONG)
    both.this.until(lambda: job(both.this, job_id)["progress"]["step"] > 300, "the worker trains")
    both.stop(worker)
    for name in ("worker", "api"):
        line = refusal(both.other.start(name), both.other, name)
        assert f"Version {VERSION} has used the database, and this is {OLDER_VERSION}" in line
    allowed = both.other.of_version(both.other.root, both.other.folder / "allowed", CHAINRULE_ALLOW_OLDER="1")
    older_worker = allowed.start_worker()
    both.other.started.append(older_worker)
    own = both.ended(post(both.other), both.other)
    assert (own["status"], claims(own)) == ("succeeded", [older_worker.pid])
    for api in (both.this, both.other):
        found = job(api, job_id)
        assert (found["status"], found["waits_for_version"]) == ("queued", VERSION), found
        assert {"version": VERSION, "jobs": 1} in ready(api)["waiting_for_version"]
    worker = both.this.start_worker()
    found = both.ended(job_id, both.this)
    assert (found["status"], found["reproducible"], found["waits_for_version"]) == ("succeeded", True, None)
    assert found["weights_sha256"] == undisturbed["weights_sha256"]
    assert older_worker.pid not in claims(found)
    assert ready(both.this)["waiting_for_version"] == []
    both.stop(worker)
    return older_worker


def ready(api: Processes) -> dict[str, Any]:
    return dict(httpx.get(f"{api.url}/health/ready", timeout=60).raise_for_status().json())
