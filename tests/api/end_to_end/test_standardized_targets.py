"""Targets that are numbers, learnt with mean 0 and standard deviation 1, and answered in their own unit."""

from typing import Any

import numpy as np
import pytest

from tests.api.conftest import Api

ROWS = [(size, 250_000 + 1_000 * size) for size in range(40)]


def spec(api: Api, encoder: Any, **changes: Any) -> dict[str, Any]:
    table = "\n".join(["size,price", *(f"{size},{price}" for size, price in ROWS)])
    found = api.client.post("/v1/datasets", content=table, headers={"Content-Type": "text/csv"}).json()
    target = {"column": "price", "encoder": encoder}
    return {
        "data": {"type": "dataset", "id": found["id"], "target": target, "validation": {"fraction": 0.25}},
        "architecture": {"layers": [{"type": "dense", "units": 1}]},
        "optimizer": {"type": "sgd", "learning_rate": 0.1},
        "training": {"epochs": 4, "batch_size": 10, "metrics": ["mean_absolute_error", "mean_squared_error"]},
    } | changes


def test_metrics_and_predictions_are_in_their_own_unit(api: Api) -> None:
    job = api.trained(**spec(api, "standard"), loss=None)
    assert job["status"] == "succeeded", job["error"]
    path = f"/v1/jobs/{job['id']}/predictions"
    found = api.client.post(path, json={"instances": [{"size": size} for size, _ in ROWS]}).json()["predictions"]
    errors = np.array([one["value"] for one in found]) - [price for _, price in ROWS]
    held = api.client.get(f"/v1/jobs/{job['id']}/split?part=validation&limit=100").json()["items"]
    train = [row for row in range(40) if row not in held]
    variance = np.var([ROWS[row][1] for row in train])
    latest = job["latest"]
    assert latest["val_mean_absolute_error"] == pytest.approx(np.abs(errors[held]).mean(), rel=1e-2)
    assert latest["val_mean_squared_error"] == pytest.approx(latest["val_loss"] * variance, rel=1e-4)
    assert latest["mean_squared_error"] == pytest.approx(latest["loss"] * variance, rel=1e-4)
    assert np.abs(errors).max() < 20_000


@pytest.mark.parametrize(
    ("encoder", "changes", "pointer", "words"),
    [
        ("min_max", {}, "/data/target/encoder", "standard"),
        ("standard", {"loss": "poisson"}, "/data/target/encoder", "use the encoder none"),
    ],
)
def test_encoder_that_does_not_fit_is_refused(
    embedded: Api, encoder: str, changes: dict[str, Any], pointer: str, words: str
) -> None:
    answer = embedded.client.post("/v1/jobs", json=spec(embedded, encoder, **changes))
    assert answer.status_code == 422, answer.text
    (error,) = answer.json()["errors"]
    assert error["pointer"].startswith(pointer)
    assert words in error["message"]


def test_encoder_of_a_category_is_refused(embedded: Api) -> None:
    found = embedded.client.post(
        "/v1/datasets", content="size,kind\n1,a\n2,b\n3,a\n", headers={"Content-Type": "text/csv"}
    ).json()
    body = spec(embedded, "standard")
    body["data"] = {"type": "dataset", "id": found["id"], "target": {"column": "kind", "encoder": "standard"}}
    answer = embedded.client.post("/v1/jobs", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/data/target/encoder")
