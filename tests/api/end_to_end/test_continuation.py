"""Continuation of ended jobs: equal to one longer training, or inexact with a reason."""

from typing import Any

import numpy as np
import pytest

from tests.api.conftest import Api
from tests.api.stateful_job import STATEFUL, metric_rows, spec_of
from worker.run.run import JobRun


def continue_and_train(api: Api, job: dict[str, Any], **body: Any) -> dict[str, Any]:
    """Continue the job and train it to its end."""
    answer = api.client.post(f"/v1/jobs/{job['id']}/continue", json=body)
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
def test_30_and_20_more_epochs_equal_50_epochs(api: Api, optimizer: dict[str, Any]) -> None:
    base = STATEFUL | {"optimizer": optimizer}
    whole = api.trained(**spec_of(50, base))
    first = api.trained(**base)
    second = continue_and_train(api, first, epochs=12)
    third = continue_and_train(api, second, epochs=8)
    assert [job["exact"] for job in (first, second, third)] == [None, True, True]
    assert (second["continues"], third["continues"]) == (first["id"], second["id"])
    assert third["weights_sha256"] == whole["weights_sha256"] != first["weights_sha256"]
    assert (third["progress"]["epoch"], third["best"]) == (50, whole["best"])
    assert metric_rows(api, first) == [row for row in metric_rows(api, whole) if row.step <= first["progress"]["step"]]
    assert metric_rows(api, second) + metric_rows(api, third) == metric_rows(api, whole, first["progress"]["step"])
    assert third["spec"] == spec_of(50, base)


def test_continuing_job_starts_where_the_first_job_ended(api: Api) -> None:
    first = api.trained(**STATEFUL, name="long", metadata={"lesson": "7"})
    answer = api.client.post(f"/v1/jobs/{first['id']}/continue", json={"epochs": 20})
    job = answer.json()
    assert answer.headers["location"] == f"/v1/jobs/{job['id']}"
    assert (job["status"], job["name"], job["metadata"]) == ("queued", "long", {"lesson": "7"})
    assert (job["progress"]["epoch"], job["progress"]["epochs"]) == (30, 50)
    assert job["progress"]["step"] == first["progress"]["step"]
    assert (job["weights_sha256"], job["best"]) == (first["weights_sha256"], first["best"])
    message = f"accepted, to continue from step {first['progress']['step']} of {first['id']}"
    assert [one["message"] for one in job["transitions"]] == [message]
    assert api.job(first["id"]) == first
    api.client.post(f"/v1/jobs/{job['id']}/cancel")


def test_job_cancelled_in_mid_epoch_continues_exactly(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = api.trained(**spec_of(8))
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
        stopped = api.trained(**spec_of(8))
    assert (stopped["status"], stopped["progress"]["step"], stopped["progress"]["epoch"]) == ("cancelled", 13, 3)
    done = continue_and_train(api, stopped)
    assert (done["exact"], done["weights_sha256"]) == (True, whole["weights_sha256"])
    assert metric_rows(api, stopped) + metric_rows(api, done) == metric_rows(api, whole)


EARLY = {"early_stopping": {"patience": 1, "restore_best_weights": True}}
COSINE = {"optimizer": {"type": "adam", "learning_rate": {"type": "cosine", "initial_learning_rate": 0.1}}}
INEXACT: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    (
        STATEFUL | COSINE,
        {"epochs": 5},
        "the learning rate depends on the number of steps, which was 150 and is now 175",
    ),
    (spec_of(300, **EARLY), {"early_stopping": None, "epochs": 5}, "weights of its best epoch"),
    (
        STATEFUL,
        {"epochs": 5, "early_stopping": {"patience": 99}},
        "early_stopping did not apply to the first 30 epochs",
    ),
    (STATEFUL, {"epochs": 5, "early_stopping": {"patience": 99, "monitor": "loss"}}, "chosen by another monitor"),
]


@pytest.mark.parametrize(("spec", "body", "words"), INEXACT)
def test_inexact_continuation_gives_the_reason(
    api: Api, spec: dict[str, Any], body: dict[str, Any], words: str
) -> None:
    second = continue_and_train(api, api.trained(**spec), **body)
    assert (second["status"], second["exact"]) == ("succeeded", False)
    assert words in second["inexact_reason"]
    assert words in continue_and_train(api, second, epochs=1)["inexact_reason"]


REFUSED: list[tuple[dict[str, Any], dict[str, Any], str, str]] = [
    ({}, {}, "/epochs", "the number of epochs to add"),
    ({}, {"epochs": 10_000_000}, "/epochs", "use a smaller number"),
    ({}, {"epochs": 0}, "/epochs", "at least 1"),
    ({}, {"seed": 1}, "/seed", "not a known field"),
    ({}, {"epochs": 1, "target": {"monitor": "f1", "value": 1}}, "/target/monitor", "choose one of"),
    ({"epochs": 10_000_000, "max_runtime": 0.05}, {"epochs": 1}, "/max_runtime", "already"),
    ({"epochs": 300, **EARLY}, {"epochs": 9}, "/early_stopping", "would stop it again"),
]


@pytest.mark.parametrize(("options", "body", "pointer", "words"), REFUSED)
def test_continuation_that_cannot_train_is_refused(
    api: Api, options: dict[str, Any], body: dict[str, Any], pointer: str, words: str
) -> None:
    job = api.trained(**STATEFUL | {"training": STATEFUL["training"] | options})
    answer = api.client.post(f"/v1/jobs/{job['id']}/continue", json=body)
    assert answer.status_code == 422, answer.text
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert words in answer.json()["errors"][0]["message"]


def test_job_that_cannot_continue_gets_409(api: Api) -> None:
    queued = api.post()
    cancelled = api.post()
    api.client.post(f"/v1/jobs/{cancelled['id']}/cancel")
    for job, words in ((queued, "before it has ended"), (cancelled, "no checkpoint")):
        answer = api.client.post(f"/v1/jobs/{job['id']}/continue", json={"epochs": 1})
        assert (answer.status_code, answer.json()["code"]) == (409, "wrong_state")
        assert words in answer.json()["detail"]
    api.client.post(f"/v1/jobs/{queued['id']}/cancel")
    with np.errstate(all="ignore"):
        diverged = api.trained(optimizer={"type": "sgd", "learning_rate": 1e10})
    answer = api.client.post(f"/v1/jobs/{diverged['id']}/continue", json={"epochs": 1})
    assert (answer.status_code, "start_from" in answer.json()["detail"]) == (409, True)


def test_same_key_and_body_return_the_first_response(api: Api) -> None:
    first, other = api.trained(), api.trained()
    key = {"Idempotency-Key": f"on-{first['id']}"}
    one, two = (api.client.post(f"/v1/jobs/{first['id']}/continue", json={"epochs": 2}, headers=key) for _ in range(2))
    assert (one.status_code, two.status_code, two.headers["idempotency-replayed"]) == (201, 201, "true")
    assert one.json() == two.json()
    for path, body in ((first["id"], {"epochs": 3}), (other["id"], {"epochs": 2})):
        answer = api.client.post(f"/v1/jobs/{path}/continue", json=body, headers=key)
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    api.train()
