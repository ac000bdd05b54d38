"""Warnings over HTTP: from `validate`, in the job, and those found while it trains."""

from typing import Any

import pytest

from core.store import jobs, leases
from core.store.scope import EVERYTHING
from tests.api.conftest import Api
from worker.run.run import JobRun

GROWS: dict[str, Any] = {
    "data": {"type": "inline", "x": [[1], [2], [3], [4], [5]], "y": [2, 4, 6, 8, 10]},
    "architecture": {"layers": [{"type": "dense", "units": 1, "use_bias": False}]},
    "optimizer": {"type": "sgd", "learning_rate": 0.1},
    "training": {"epochs": 3, "batch_size": 5},
}


TEN_TIMES: dict[str, Any] = {"type": "inline", "x": [[5]] * 12, "y": [10] * 12}


def codes(answer: dict[str, Any]) -> list[str]:
    return [warning["code"] for warning in answer["warnings"]]


def test_validate_and_the_job_have_the_same_warnings(api: Api) -> None:
    body = GROWS | {"training": {"epochs": 3, "batch_size": 100, "early_stopping": {}}}
    checked = api.client.post("/v1/jobs/validate", json=body).json()
    job = api.post(**body)
    assert codes(checked) == ["batch_larger_than_data", "early_stopping_without_validation"]
    assert job["warnings"] == checked["warnings"] == api.job(job["id"])["warnings"]
    assert {warning["pointer"] for warning in job["warnings"]} == {"/training/batch_size", "/training/early_stopping"}


def test_first_example_has_no_warning(api: Api) -> None:
    assert api.trained()["warnings"] == []


def test_loss_that_only_grew_is_a_warning_of_the_job(api: Api) -> None:
    job = api.trained(**GROWS)
    assert (job["status"], codes(job)) == ("succeeded", ["loss_grew"])


def test_loss_that_grew_until_the_job_was_cancelled_is_a_warning(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = {"type": "sgd", "learning_rate": 0.0911}  # the loss grows by 1 % in each epoch
    job_id = api.post(**GROWS | {"optimizer": slow, "training": {"epochs": 1000, "batch_size": 5}})["id"]
    check, cancelled = JobRun._check, list[str]()

    def cancel_once(self: JobRun, item: Any) -> Any:
        if item is not None and item.epoch >= 200 and not cancelled:
            cancelled.append(api.client.post(f"/v1/jobs/{job_id}/cancel").json()["status"])
            self._writer.write()
        outcome = check(self, item)
        self._writer.needs_check = not cancelled
        return outcome

    monkeypatch.setattr(JobRun, "_check", cancel_once)
    api.train()
    job = api.job(job_id)
    assert (job["status"], job["progress"]["epoch"], cancelled) == ("cancelled", 200, ["cancelling"])
    assert codes(job) == ["loss_grew"]


def test_loss_that_grew_in_the_only_epoch_is_a_warning(api: Api) -> None:
    job = api.trained(**GROWS | {"training": {"epochs": 1, "batch_size": 1, "shuffle": False}, "data": TEN_TIMES})
    assert (job["status"], codes(job)) == ("succeeded", ["loss_grew"])


def test_warnings_of_a_run_are_kept_once_over_a_lost_worker(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    data = {"type": "inline", "x": [[float(n)] for n in range(12)], "y": ["a", "b"] * 6}
    training = {"epochs": 6, "batch_size": 4, "metrics": ["roc_auc"]}
    layers = {"layers": [{"type": "dense", "units": 1}]}
    job_id = api.post(data=data | {"validation": {"fraction": 0.09}}, architecture=layers, training=training)["id"]
    check, at_the_loss = JobRun._check, list[dict[str, Any]]()

    def lose_once(self: JobRun, item: Any) -> Any:
        if item is not None and item.epoch >= 3 and not at_the_loss:
            self._writer.write()
            at_the_loss.append(api.job(job_id))
            with api.services.database.begin() as s:
                leases.requeue_lost(s, job_id, jobs.get(s, EVERYTHING, job_id).fence, message="lost")
        outcome = check(self, item)
        self._writer.needs_check = not at_the_loss
        return outcome

    monkeypatch.setattr(JobRun, "_check", lose_once)
    api.train()
    job = api.job(job_id)
    assert (job["status"], [one["status"] for one in job["transitions"]].count("running")) == ("succeeded", 2)
    assert codes(at_the_loss[0]) == ["metric_undefined"]
    assert job["warnings"] == at_the_loss[0]["warnings"]


def test_column_that_gives_the_target_away_is_named(api: Api) -> None:
    lines = [f"{row % 5},{(row * 7) % 11},{'yes' if row % 3 else 'no'},{int(row % 3 == 0)}" for row in range(60)]
    table = "a,b,bought,code\n" + "\n".join(lines) + "\n"
    uploaded = api.client.post("/v1/datasets", content=table, headers={"Content-Type": "text/csv"}).json()
    data = {"type": "dataset", "id": uploaded["id"], "target": "bought"}
    job = api.trained(data=data, architecture={"layers": [{"type": "dense", "units": 1}]}, training={"epochs": 1})
    assert [one["code"] for one in job["warnings"]] == ["leaking_column"]
    assert 'column "code" alone' in job["warnings"][0]["message"]


def test_many_columns_that_are_left_out_hide_no_other_warning(api: Api) -> None:
    texts = [f"note {number}" for number in range(30)]
    header = ",".join(["size", *texts, "price"])
    lines = [",".join([str(row % 5), *(f"{name} {row}" for name in texts), str(row % 3)]) for row in range(60)]
    lines[17] = ",".join(["2", *(f"{name} {17}" for name in texts), "on request"])
    table = "\n".join([header, *lines, ""])
    uploaded = api.client.post("/v1/datasets", content=table, headers={"Content-Type": "text/csv"}).json()
    body = {
        "data": {"type": "dataset", "id": uploaded["id"], "target": "price"},
        "architecture": {"layers": [{"type": "dense", "units": 4}]},
        "training": {"epochs": 1},
    }
    found = api.trained(**body)["warnings"]
    assert found == api.client.post("/v1/jobs/validate", json=body).json()["warnings"]
    assert len(found) == 20
    by_code = {one["code"]: one for one in found}
    assert set(by_code) >= {"nearly_numeric", "small_class", "column_left_out"}
    assert by_code["nearly_numeric"]["pointer"] == by_code["small_class"]["pointer"] == "/data/target"
    assert '"on request" in row 18' in by_code["nearly_numeric"]["message"]


def test_columns_of_inline_rows_are_looked_at(api: Api) -> None:
    x = [[float(n % 7), 1.0, 3.0 * (n % 11) + 1] for n in range(60)]
    data = {"type": "inline", "x": x, "y": [n % 11 for n in range(60)]}
    job = api.trained(data=data, architecture={"layers": [{"type": "dense", "units": 1}]}, training={"epochs": 1})
    assert codes(job) == ["constant_column", "leaking_column"]
    assert {one["pointer"] for one in job["warnings"]} == {"/data/x"}
