"""A job that goes on with another's training, or with its weights: the same numbers, or a plain word on why not."""

import os
from typing import Any

import numpy as np
import pytest

from core.blobs.folder import RECENT_SECONDS
from core.models.checkpoint import decode
from core.store import checkpoints, events, garbage
from tests.api.conftest import LINE, Api
from worker.run.run import JobRun

STATEFUL: dict[str, Any] = {
    "data": {"type": "builtin", "name": "spirals", "rows": 90, "validation": {"fraction": 0.25}},
    "architecture": {
        "layers": [
            {"type": "dense", "units": 8, "activation": "tanh"},
            {"type": "batch_normalization", "momentum": 0.9},
            {"type": "dropout", "rate": 0.2},
            {"type": "dense", "units": 2},
        ]
    },
    "loss": {"type": "cross_entropy"},
    "optimizer": {"type": "adam", "learning_rate": 0.01},
    "training": {"epochs": 30, "batch_size": 16, "shuffle": True, "seed": 3},
}
"""A job in which everything that a training remembers matters."""


def lasting(epochs: int, base: dict[str, Any] = STATEFUL, **rules: Any) -> dict[str, Any]:
    """The job with so many epochs and other rules."""
    return base | {"training": base["training"] | {"epochs": epochs} | rules}


def rows(api: Api, job: dict[str, Any], after: int = 0) -> list[Any]:
    """The training's own rows, of the steps after one."""
    with api.services.database.read() as s:
        return [row for row in events.stored_rows(s, job["id"], 0, 100_000) if row.step > after]


def more(api: Api, job: dict[str, Any], **wish: Any) -> dict[str, Any]:
    """The job continued, and trained to its end."""
    answer = api.client.post(f"/v1/jobs/{job['id']}/continue", json=wish)
    assert answer.status_code == 201, answer.text
    api.train()
    return api.job(answer.json()["id"])


@pytest.mark.parametrize(
    "optimizer",
    [
        {"type": "adam", "learning_rate": 0.01},
        {"type": "sgd", "learning_rate": {"type": "step", "initial_learning_rate": 0.1, "decay_steps": 60}},
    ],
    ids=lambda one: one["type"],
)
def test_thirty_epochs_and_twenty_more_are_fifty(api: Api, optimizer: dict[str, Any]) -> None:
    base = STATEFUL | {"optimizer": optimizer}
    whole = api.trained(**lasting(50, base))
    first = api.trained(**base)
    second = more(api, first, epochs=12)
    third = more(api, second, epochs=8)
    assert [job["exact"] for job in (first, second, third)] == [None, True, True]
    assert (second["continues"], third["continues"]) == (first["id"], second["id"])
    assert third["weights_sha256"] == whole["weights_sha256"] != first["weights_sha256"]
    assert (third["progress"]["epoch"], third["best"]) == (50, whole["best"])
    assert rows(api, first) == [row for row in rows(api, whole) if row.step <= first["progress"]["step"]]
    assert rows(api, second) + rows(api, third) == rows(api, whole, first["progress"]["step"])
    assert third["spec"] == lasting(50, base)


def test_a_new_job_stands_where_the_old_one_ended(api: Api) -> None:
    first = api.trained(**STATEFUL, name="long", metadata={"lesson": "7"})
    answer = api.client.post(f"/v1/jobs/{first['id']}/continue", json={"epochs": 20})
    job = answer.json()
    assert answer.headers["location"] == f"/v1/jobs/{job['id']}"
    assert (job["status"], job["name"], job["metadata"]) == ("queued", "long", {"lesson": "7"})
    assert (job["progress"]["epoch"], job["progress"]["epochs"]) == (30, 50)
    assert job["progress"]["step"] == first["progress"]["step"]
    assert (job["weights_sha256"], job["best"]) == (first["weights_sha256"], first["best"])
    told = f"accepted, to continue from step {first['progress']['step']} of {first['id']}"
    assert [one["message"] for one in job["transitions"]] == [told]
    assert api.job(first["id"]) == first
    api.client.post(f"/v1/jobs/{job['id']}/cancel")


def test_a_job_cancelled_in_mid_epoch_goes_on_exactly(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = api.trained(**lasting(8))
    check = JobRun._check

    def cancel_and_check(self: JobRun, item: Any) -> Any:
        if item is not None and item.step == 13:
            api.client.post("/v1/jobs/latest/cancel")
            self._writer.write()
        outcome = check(self, item)
        self._writer.needs_check = True
        return outcome

    with monkeypatch.context() as patch:
        patch.setattr(JobRun, "_check", cancel_and_check)
        stopped = api.trained(**lasting(8))
    assert (stopped["status"], stopped["progress"]["step"], stopped["progress"]["epoch"]) == ("cancelled", 13, 3)
    done = more(api, stopped)
    assert (done["exact"], done["weights_sha256"]) == (True, whole["weights_sha256"])
    assert rows(api, stopped) + rows(api, done) == rows(api, whole)


EARLY = {"early_stopping": {"patience": 1, "restore_best_weights": True}}
COSINE = {"optimizer": {"type": "adam", "learning_rate": {"type": "cosine", "initial_learning_rate": 0.1}}}
INEXACT: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    (
        STATEFUL | COSINE,
        {"epochs": 5},
        "the learning rate depends on the number of steps, which was 150 and is now 175",
    ),
    (lasting(300, **EARLY), {"early_stopping": None, "epochs": 5}, "weights of its best epoch"),
    (
        STATEFUL,
        {"epochs": 5, "early_stopping": {"patience": 99}},
        "early_stopping did not apply to the first 30 epochs",
    ),
    (STATEFUL, {"epochs": 5, "early_stopping": {"patience": 99, "monitor": "loss"}}, "chosen by another monitor"),
]


@pytest.mark.parametrize(("spec", "wish", "words"), INEXACT)
def test_what_is_not_exact_says_why(api: Api, spec: dict[str, Any], wish: dict[str, Any], words: str) -> None:
    second = more(api, api.trained(**spec), **wish)
    assert (second["status"], second["exact"]) == ("succeeded", False)
    assert words in second["inexact_reason"]
    assert words in more(api, second, epochs=1)["inexact_reason"]


REFUSED: list[tuple[dict[str, Any], dict[str, Any], str, str]] = [
    ({}, {}, "/epochs", "the number of epochs to add"),
    ({}, {"epochs": 10_000_000}, "/epochs", "use a smaller number"),
    ({}, {"epochs": 0}, "/epochs", "at least 1"),
    ({}, {"seed": 1}, "/seed", "not a known field"),
    ({}, {"epochs": 1, "target": {"monitor": "f1", "value": 1}}, "/target/monitor", "choose one of"),
    ({"epochs": 10_000_000, "max_runtime": 0.05}, {"epochs": 1}, "/max_runtime", "already"),
    ({"epochs": 300, **EARLY}, {"epochs": 9}, "/early_stopping", "would stop it again"),
]


@pytest.mark.parametrize(("rules", "wish", "pointer", "words"), REFUSED)
def test_what_would_end_at_once_is_refused(
    api: Api, rules: dict[str, Any], wish: dict[str, Any], pointer: str, words: str
) -> None:
    job = api.trained(**STATEFUL | {"training": STATEFUL["training"] | rules})
    answer = api.client.post(f"/v1/jobs/{job['id']}/continue", json=wish)
    assert answer.status_code == 422, answer.text
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert words in answer.json()["errors"][0]["message"]


def test_what_cannot_go_on_says_so(api: Api) -> None:
    waiting = api.post()
    dropped = api.post()
    api.client.post(f"/v1/jobs/{dropped['id']}/cancel")
    for job, words in ((waiting, "before it has ended"), (dropped, "no checkpoint")):
        answer = api.client.post(f"/v1/jobs/{job['id']}/continue", json={"epochs": 1})
        assert (answer.status_code, answer.json()["code"]) == (409, "wrong_state")
        assert words in answer.json()["detail"]
    api.client.post(f"/v1/jobs/{waiting['id']}/cancel")
    with np.errstate(all="ignore"):
        diverged = api.trained(optimizer={"type": "sgd", "learning_rate": 1e10})
    answer = api.client.post(f"/v1/jobs/{diverged['id']}/continue", json={"epochs": 1})
    assert (answer.status_code, "start_from" in answer.json()["detail"]) == (409, True)


def test_the_same_key_gives_the_first_answer_again(api: Api) -> None:
    first, other = api.trained(), api.trained()
    key = {"Idempotency-Key": f"on-{first['id']}"}
    one, two = (api.client.post(f"/v1/jobs/{first['id']}/continue", json={"epochs": 2}, headers=key) for _ in range(2))
    assert (one.status_code, two.status_code, two.headers["idempotency-replayed"]) == (201, 201, "true")
    assert one.json() == two.json()
    for path, body in ((first["id"], {"epochs": 3}), (other["id"], {"epochs": 2})):
        answer = api.client.post(f"/v1/jobs/{path}/continue", json=body, headers=key)
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    api.train()


# warm starts


def frozen(spec: dict[str, Any], *layers: int) -> dict[str, Any]:
    """The same net with some of its layers frozen."""
    made = [
        layer | ({"trainable": False} if place in layers else {})
        for place, layer in enumerate(spec["architecture"]["layers"])
    ]
    return spec | {"architecture": {"layers": made}}


def weights_of(api: Api, job: dict[str, Any], which: Any = "last") -> Any:
    """The weights and statistics that a job ended with."""
    with api.services.database.read() as s:
        found = checkpoints.latest(s, job["id"])
    assert found is not None
    weights, statistics = decode(api.services.blobs.read(found.sha256)).weights_and_statistics(which)
    return weights.tolist(), statistics.tolist()


@pytest.mark.parametrize("which", ["best", "last"])
def test_a_warm_start_begins_with_the_weights_and_leaves_frozen_ones(api: Api, which: str) -> None:
    first = api.trained(**STATEFUL)
    weights, statistics = weights_of(api, first, which)
    spec = frozen(lasting(2), 0, 1) | {"start_from": {"job": first["id"], "checkpoint": which}}
    second = api.trained(**spec)
    assert (second["status"], second["progress"]["epoch"], second["continues"]) == ("succeeded", 2, None)
    assert rows(api, second)[0].step == 1
    learnt, moved = weights_of(api, second)
    base = 2 * 8 + 8 + 8 + 8
    assert (learnt[:base], moved) == (weights[:base], statistics)
    assert learnt[base:] != weights[base:]
    listed = api.client.get(f"/v1/jobs/{second['id']}/checkpoints").json()["items"]
    assert [one["step"] for one in listed] == [second["progress"]["step"]]


def test_a_warm_start_from_a_step(api: Api) -> None:
    first = api.trained()
    spec = {"start_from": {"job": first["id"], "checkpoint": first["progress"]["step"]}}
    second = api.trained(**spec, training=LINE["training"] | {"epochs": 1})
    assert rows(api, second)[0].value < 1e-6


def test_a_source_may_be_deleted_while_a_job_waits_to_start_from_it(api: Api) -> None:
    first = api.trained(**STATEFUL)
    calm = api.trained(**lasting(3), start_from={"job": first["id"]})
    on = api.client.post(f"/v1/jobs/{first['id']}/continue", json={"epochs": 3}).json()
    warm = api.post(**lasting(3), start_from={"job": first["id"]})
    assert api.client.delete(f"/v1/jobs/{first['id']}").status_code == 204
    for path in api.services.settings.blob_dir.iterdir():
        stamp = path.stat().st_mtime_ns - int(1e9 * (RECENT_SECONDS + 1))
        os.utime(path, ns=(stamp, stamp))
    garbage.collect(api.services.database, api.services.blobs)
    api.train()
    assert api.job(warm["id"])["weights_sha256"] == calm["weights_sha256"]
    assert api.job(on["id"])["progress"]["epoch"] == 33


def test_a_damaged_source_fails_the_job_and_says_so(api: Api) -> None:
    first = api.trained(**STATEFUL)
    with api.services.database.read() as s:
        found = checkpoints.latest(s, first["id"])
    on = api.client.post(f"/v1/jobs/{first['id']}/continue", json={"epochs": 3}).json()
    warm = api.post(**STATEFUL, start_from={"job": first["id"]})
    assert found is not None
    api.services.blobs.path(found.sha256).unlink()
    api.train()
    for job in (on, warm):
        told = api.job(job["id"])
        assert (told["status"], told["error"]["code"]) == ("failed", "damaged_checkpoint")


def test_a_net_with_other_weights_is_refused_at_its_first_layer(api: Api) -> None:
    first = api.trained(**STATEFUL)
    layers = STATEFUL["architecture"]["layers"]
    other = [*layers[:3], {"type": "dense", "units": 2, "use_bias": False}]
    deeper = [
        {"type": "flatten"},
        {"type": "sequential", "layers": [layers[0], {**layers[1], "scale": False}]},
        *layers,
    ]
    shorter = [{"type": "dense", "units": 8}, *layers[1:2], {"type": "sequential", "layers": layers[3:]}]
    for net, pointer in (
        (other, "/architecture/layers/3"),
        (deeper, "/architecture/layers/1/layers/1"),
        ([*layers, {"type": "dense", "units": 2}], "/architecture/layers/4"),
        (shorter, None),
    ):
        body = STATEFUL | {"architecture": {"layers": net}, "start_from": {"job": first["id"]}}
        answer = api.client.post("/v1/jobs/validate", json=body)
        told = None if answer.status_code == 200 else answer.json()["errors"][0]["pointer"]
        assert told == pointer, answer.text


def test_a_source_that_is_not_there_is_refused(api: Api) -> None:
    first, waiting = api.trained(), api.post()
    missing = "job_00000000000000000000000000"
    for start, pointer, words in (
        ({"job": missing}, "/start_from/job", "no job"),
        ({"job": "x"}, "/start_from/job", "no job"),
        ({"job": waiting["id"]}, "/start_from/checkpoint", "no checkpoint"),
        ({"job": first["id"], "checkpoint": 7}, "/start_from/checkpoint", "of the steps 100"),
        ({"job": first["id"], "checkpoint": "worst"}, "/start_from/checkpoint", ""),
        ({}, "/start_from/job", "is required"),
    ):
        answer = api.client.post("/v1/jobs", json=LINE | {"start_from": start})
        assert answer.status_code == 422, answer.text
        assert answer.json()["errors"][0]["pointer"] == pointer, answer.text
        assert words in answer.json()["errors"][0]["message"]
    api.client.post(f"/v1/jobs/{waiting['id']}/cancel")
