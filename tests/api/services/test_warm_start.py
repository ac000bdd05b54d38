"""Warm starts: a new job starts from the weights of another job's checkpoint."""

import os
from typing import Any

import pytest

from core.blobs.folder import RECENT_SECONDS
from core.models.checkpoint import decode
from core.store import checkpoints, garbage
from tests.api.conftest import LINE, Api
from tests.api.stateful_job import STATEFUL, metric_rows, spec_of


def frozen(spec: dict[str, Any], *layers: int) -> dict[str, Any]:
    """Return the spec with these layers frozen."""
    frozen_layers = [
        layer | ({"trainable": False} if index in layers else {})
        for index, layer in enumerate(spec["architecture"]["layers"])
    ]
    return spec | {"architecture": {"layers": frozen_layers}}


def weights_of(api: Api, job: dict[str, Any], which: Any = "last") -> Any:
    """Return the final weights and statistics of a job."""
    with api.services.database.read() as s:
        found = checkpoints.latest(s, job["id"])
    assert found is not None
    weights, statistics = decode(api.services.blobs.read(found.sha256)).weights_and_statistics(which)
    return weights.tolist(), statistics.tolist()


@pytest.mark.parametrize("which", ["best", "last"])
def test_warm_start_copies_the_weights_and_keeps_frozen_ones(api: Api, which: str) -> None:
    first = api.trained(**STATEFUL)
    weights, statistics = weights_of(api, first, which)
    spec = frozen(spec_of(2), 0, 1) | {"start_from": {"job": first["id"], "checkpoint": which}}
    second = api.trained(**spec)
    assert (second["status"], second["progress"]["epoch"], second["continues"]) == ("succeeded", 2, None)
    assert metric_rows(api, second)[0].step == 1
    trained, updated = weights_of(api, second)
    base = 2 * 8 + 8 + 8 + 8
    assert (trained[:base], updated) == (weights[:base], statistics)
    assert trained[base:] != weights[base:]
    listed = api.client.get(f"/v1/jobs/{second['id']}/checkpoints").json()["items"]
    assert [one["step"] for one in listed] == [second["progress"]["step"]]


def test_warm_start_from_the_checkpoint_of_a_step(api: Api) -> None:
    first = api.trained()
    spec = {"start_from": {"job": first["id"], "checkpoint": first["progress"]["step"]}}
    second = api.trained(**spec, training=LINE["training"] | {"epochs": 1})
    assert metric_rows(api, second)[0].value < 1e-6


def test_source_job_deleted_before_the_start_changes_nothing(api: Api) -> None:
    first = api.trained(**STATEFUL)
    calm = api.trained(**spec_of(3), start_from={"job": first["id"]})
    on = api.client.post(f"/v1/jobs/{first['id']}/continue", json={"epochs": 3}).json()
    warm = api.post(**spec_of(3), start_from={"job": first["id"]})
    assert api.client.delete(f"/v1/jobs/{first['id']}").status_code == 204
    for path in api.services.settings.blob_dir.iterdir():
        stamp = path.stat().st_mtime_ns - int(1e9 * (RECENT_SECONDS + 1))
        os.utime(path, ns=(stamp, stamp))
    garbage.collect(api.services.database, api.services.blobs)
    api.train()
    assert api.job(warm["id"])["weights_sha256"] == calm["weights_sha256"]
    assert api.job(on["id"])["progress"]["epoch"] == 33


def test_damaged_source_checkpoint_fails_the_job(api: Api) -> None:
    first = api.trained(**STATEFUL)
    with api.services.database.read() as s:
        found = checkpoints.latest(s, first["id"])
    on = api.client.post(f"/v1/jobs/{first['id']}/continue", json={"epochs": 3}).json()
    warm = api.post(**STATEFUL, start_from={"job": first["id"]})
    assert found is not None
    api.services.blobs.path(found.sha256).unlink()
    api.train()
    for job in (on, warm):
        failed = api.job(job["id"])
        assert (failed["status"], failed["error"]["code"]) == ("failed", "damaged_checkpoint")


def test_network_with_other_weights_is_refused_at_the_first_different_layer(api: Api) -> None:
    first = api.trained(**STATEFUL)
    layers = STATEFUL["architecture"]["layers"]
    other = [*layers[:3], {"type": "dense", "units": 2, "use_bias": False}]
    deeper = [
        {"type": "flatten"},
        {"type": "sequential", "layers": [layers[0], {**layers[1], "scale": False}]},
        *layers,
    ]
    shorter = [{"type": "dense", "units": 8}, *layers[1:2], {"type": "sequential", "layers": layers[3:]}]
    for network, pointer in (
        (other, "/architecture/layers/3"),
        (deeper, "/architecture/layers/1/layers/1"),
        ([*layers, {"type": "dense", "units": 2}], "/architecture/layers/4"),
        (shorter, None),
    ):
        body = STATEFUL | {"architecture": {"layers": network}, "start_from": {"job": first["id"]}}
        answer = api.client.post("/v1/jobs/validate", json=body)
        found = None if answer.status_code == 200 else answer.json()["errors"][0]["pointer"]
        assert found == pointer, answer.text


def test_missing_source_is_refused(api: Api) -> None:
    first, queued = api.trained(), api.post()
    missing = "job_00000000000000000000000000"
    for start, pointer, words in (
        ({"job": missing}, "/start_from/job", "no job"),
        ({"job": "x"}, "/start_from/job", "no job"),
        ({"job": queued["id"]}, "/start_from/checkpoint", "no checkpoint"),
        ({"job": first["id"], "checkpoint": 7}, "/start_from/checkpoint", "of the steps 100"),
        ({"job": first["id"], "checkpoint": "worst"}, "/start_from/checkpoint", ""),
        ({}, "/start_from/job", "is required"),
    ):
        answer = api.client.post("/v1/jobs", json=LINE | {"start_from": start})
        assert answer.status_code == 422, answer.text
        assert answer.json()["errors"][0]["pointer"] == pointer, answer.text
        assert words in answer.json()["errors"][0]["message"]
    api.client.post(f"/v1/jobs/{queued['id']}/cancel")
