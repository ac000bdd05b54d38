"""Rows that weigh nothing: a part of the split without any weight is refused, and gives no best value."""

from typing import Any

import pytest

from tests.api.conftest import Api

X = [1, 2, 3, 4]
HELD_OUT: list[tuple[dict[str, Any], list[float], str]] = [
    ({"validation": {"fraction": 0.5}}, [1, 0, 0, 0], "validation"),
    ({"validation": {"fraction": 0.5}}, [0, 1, 0, 0], "training"),
    ({"split": {"type": "fraction", "test": 0.25}}, [1, 1, 1, 0], "test"),
]
TRAINING = {"epochs": 2, "seed": 2}


def spec(data: dict[str, Any]) -> dict[str, Any]:
    """Return a job with these data."""
    return {"data": data, "architecture": {"layers": [{"type": "dense", "units": 1}]}, "training": TRAINING}


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("held_out", "weights", "part"), HELD_OUT)
def test_part_of_the_spec_without_weight_is_refused(
    embedded: Api, held_out: dict[str, Any], weights: list[float], part: str, seed: int
) -> None:
    data = {"type": "inline", "x": X, "y": X, "sample_weight": weights, **held_out}
    body = spec(data) | {"training": {"epochs": 2, "seed": seed}}
    answer = embedded.client.post("/v1/jobs", json=body)
    if answer.status_code == 201:  # this seed draws other rows
        job = embedded.job(answer.json()["id"])
        embedded.train()
        assert embedded.job(job["id"])["latest"]["loss"] is not None
        return
    (error,) = answer.json()["errors"]
    assert error["pointer"] == "/data/sample_weight"
    assert "rows of this split, so nothing is measured there: give one a weight" in error["message"]


def test_example_of_half_the_rows_is_refused(embedded: Api) -> None:
    data = {"type": "inline", "x": X, "y": X, "sample_weight": [1, 0, 0, 0], "validation": {"fraction": 0.5}}
    answer = embedded.client.post("/v1/jobs", json=spec(data))
    assert answer.status_code == 422
    assert "is 0 for all 2 validation rows" in answer.json()["errors"][0]["message"]


def test_part_of_a_dataset_without_weight_ends_the_job(api: Api) -> None:
    table = "x,y,w\n" + "".join(f"{n},{2 * n},{int(n == 0)}\n" for n in range(20))
    uploaded = api.client.post("/v1/datasets", content=table, headers={"Content-Type": "text/csv"}).json()
    data = {
        "type": "dataset",
        "id": uploaded["id"],
        "target": "y",
        "sample_weight": "w",
        "validation": {"fraction": 0.5},
    }
    job = api.trained(**spec(data))
    assert job["status"] == "failed"
    assert job["error"]["code"] == "invalid_data"
    assert "is 0 for all 10" in job["error"]["message"]


def test_validation_of_one_class_has_no_area_and_does_not_stop_early(api: Api) -> None:
    x = [[float(n)] for n in range(12)]
    data = {"type": "inline", "x": x, "y": ["a", "b"] * 6, "split": {"type": "fraction", "validation": 0.09}}
    training = {"epochs": 6, "metrics": ["roc_auc"], "early_stopping": {"monitor": "val_roc_auc", "patience": 1}}
    job = api.trained(**spec(data) | {"training": training})
    assert (job["status"], job["stop_reason"], job["progress"]["epoch"]) == ("succeeded", "epochs_completed", 6)
    assert job["latest"]["val_roc_auc"] is None
    assert job["best"] is None
    answer = api.client.post(f"/v1/jobs/{job['id']}/predictions", json={"instances": [[1.0]]})
    assert answer.status_code == 200
