"""Jobs and checkpoints that another version wrote: a clear 409, and never 500."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import update

from api.app import create_app
from core.store import checkpoints, jobs, versions
from core.store.errors import OlderVersion
from core.store.scope import EVERYTHING
from core.store.tables import Checkpoint, Job, ServiceVersion, Spec
from core.versions import THIS
from tests.api.conftest import LINE, Api
from tests.builders import A_NEWER_RELEASE, AN_OLDER_RELEASE

Header = dict[str, Any]
ROWS = {"instances": [[1]], "targets": [2]}


def rewrite(api: Api, job_id: str, change: Callable[[Header], Header]) -> None:
    """Change the header of all of a job's checkpoints."""
    services = api.services
    with services.database.read() as s:
        found = checkpoints.of_job(s, EVERYTHING, job_id)
    for one in found:
        data = services.blobs.read(one.sha256)
        length = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + length])
        header["__metadata__"]["chainrule"] = json.dumps(change(json.loads(header["__metadata__"]["chainrule"])))
        text = json.dumps(header).encode()
        sha256 = services.blobs.put(len(text).to_bytes(8, "little") + text + data[8 + length :])
        with services.database.begin() as s:
            s.execute(update(Checkpoint).where(Checkpoint.id == one.id).values(sha256=sha256))


def with_model(header: Header, part: str, **changes: Any) -> Header:
    return header | {"model": header["model"] | {part: header["model"][part] | changes}}


HEADERS: dict[str, Callable[[Header], Header]] = {
    "older format": lambda header: header | {"format": "chainrule-checkpoint/1"},
    "newer format": lambda header: header | {"format": "chainrule-checkpoint/3", "version": "9.0.0"},
    "unknown layer": lambda header: with_model(header, "architecture", layers=[{"type": "layer_of_the_future"}]),
    "unknown field": lambda header: with_model(
        header, "architecture", layers=[{**header["model"]["architecture"]["layers"][0], "gain": 2.0}]
    ),
    "other weights": lambda header: with_model(header, "architecture", layers=[{"type": "dense", "units": 7}]),
    "unknown loss": lambda header: with_model(header, "loss", type="loss_of_the_future"),
    "unknown features": lambda header: with_model(header, "features", type="features_of_the_future"),
    "unknown field of features": lambda header: with_model(header, "features", clipped=True),
    "unknown target": lambda header: with_model(header, "target", type="target_of_the_future"),
    "without a model": lambda header: header | {"model": {}},
}


@pytest.mark.parametrize("change", HEADERS.values(), ids=HEADERS)
def test_checkpoint_of_another_version_gets_409(embedded: Api, change: Callable[[Header], Header]) -> None:
    job = embedded.trained(training=LINE["training"] | {"epochs": 2})
    rewrite(embedded, job["id"], change)
    for path, body in (
        (f"/v1/jobs/{job['id']}/predictions", {"instances": [[1]]}),
        (f"/v1/jobs/{job['id']}/inspect", ROWS),
        (f"/v1/jobs/{job['id']}/check_gradient", ROWS),
        ("/v1/jobs", LINE | {"start_from": {"job": job["id"]}}),
        ("/v1/jobs/validate", LINE | {"start_from": {"job": job["id"]}}),
    ):
        answer = embedded.client.post(path, json=body)
        assert (answer.status_code, answer.json().get("code")) == (409, "unknown_version"), (path, answer.text)
        assert f"this is version {THIS.version}" in answer.json()["detail"]


def test_state_of_another_optimizer_gets_409(embedded: Api) -> None:
    job = embedded.trained()
    spec = LINE | {"optimizer": {"type": "adam"}}
    with embedded.services.database.begin() as s:
        s.execute(update(Spec).where(Spec.job_id == job["id"]).values(json=json.dumps(spec)))
    answer = embedded.client.post(f"/v1/jobs/{job['id']}/inspect", json=ROWS)
    assert (answer.status_code, answer.json()["code"]) == (409, "unknown_version")


def test_spec_of_another_version_gets_409_and_is_shown(embedded: Api) -> None:
    job = embedded.trained()
    spec = LINE | {"architecture": {"layers": [{"type": "layer_of_the_future"}]}}
    with embedded.services.database.begin() as s:
        s.execute(update(Spec).where(Spec.job_id == job["id"]).values(json=json.dumps(spec)))
    for route, body in (("continue", {"epochs": 1}), ("inspect", ROWS), ("check_gradient", ROWS)):
        answer = embedded.client.post(f"/v1/jobs/{job['id']}/{route}", json=body)
        assert (answer.status_code, answer.json()["code"]) == (409, "unknown_version"), route
        assert "does not know all of it" in answer.json()["detail"]
    assert embedded.job(job["id"])["spec"] == spec


def test_answers_name_the_version_that_a_job_waits_for(api: Api) -> None:
    database = api.services.database
    own, newer = api.post()["id"], api.post()["id"]
    with database.begin() as s:
        s.execute(update(Job).where(Job.id == newer).values(A_NEWER_RELEASE._asdict()))
    assert waiting(api, own, newer) == [None, "99.0.0"]
    with database.begin() as s:
        versions.record_start(s, "worker", AN_OLDER_RELEASE)
    assert waiting(api, own, newer) == [THIS.version, "99.0.0"]
    posted = api.post()
    assert (posted["waits_for_version"], posted["made_for"]) == (THIS.version, THIS._asdict())
    ready = api.client.get("/health/ready").json()
    assert {"version": "99.0.0", "jobs": 1} in ready["waiting_for_version"]
    with database.begin() as s:
        versions.record_start(s, "worker", A_NEWER_RELEASE)
    assert waiting(api, own, newer) == [None, None]
    assert api.client.get("/health/ready").json()["waiting_for_version"] == []
    with database.begin() as s:
        s.execute(ServiceVersion.__table__.delete())  # type: ignore[attr-defined]
        s.execute(update(Job).where(Job.id == newer).values(THIS._asdict()))
    api.train()


def waiting(api: Api, *ids: str) -> list[str | None]:
    """Return the version that each job waits for, which all answers must agree on."""
    listed = {job["id"]: job["waits_for_version"] for job in api.client.get("/v1/jobs").json()["items"]}
    found = [api.job(job_id)["waits_for_version"] for job_id in ids]
    assert [listed[job_id] for job_id in ids] == found
    return found


def test_exactness_follows_from_the_job_before(embedded: Api) -> None:
    sources: list[tuple[dict[str, Any], str | None]] = [
        ({}, None),
        ({"reproducible": False}, "is not reproducible"),
        ({"reproducible": None}, "a version before 0.2.0 computed"),
        ({"arithmetic": 0}, "was computed with arithmetic 0"),
    ]
    for columns, reason in sources:
        job = embedded.trained()["id"]
        if columns:
            with embedded.services.database.begin() as s:
                s.execute(update(Job).where(Job.id == job).values(columns))
        continued = embedded.client.post(f"/v1/jobs/{job}/continue", json={"epochs": 1}).json()
        started = embedded.post(start_from={"job": job})
        assert (continued["exact"], started["exact"]) == ((True, None) if reason is None else (False, False))
        for posted in (continued, started):
            assert (reason or "") in (posted["inexact_reason"] or "")
        assert continued["reproducible"] is not ("reproducible" in columns)
    embedded.train()


def test_api_older_than_the_newest_does_not_start(start: Any) -> None:
    api = start()
    versions.start(api.services.database, "worker", allow_older=False, release=A_NEWER_RELEASE)
    with pytest.raises(OlderVersion), TestClient(create_app(api.services.settings)):
        pass
    allowed = api.services.settings.model_copy(update={"allow_older": True})
    with TestClient(create_app(allowed), base_url="http://127.0.0.1") as client:
        assert client.get("/health/ready").json()["version"] == THIS.version
    with api.services.database.read() as s:
        assert jobs.exists(s, EVERYTHING, "job_none") is False
