"""CTC: training on sequences of different lengths with label sequences, and prediction of label sequences."""

from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from tests.api.conftest import Api

LAYERS = ["masking", {"type": "gru", "units": 16, "return_sequences": True}, {"type": "dense", "units": 4}]


def labelled_sequences(rows: int) -> tuple[list[Any], list[list[int]]]:
    """Return sequences of one to four labels; each label lasts one to three steps, followed by a blank step."""
    rng = np.random.default_rng(0)
    x, y = [], []
    for _ in range(rows):
        labels = rng.integers(1, 4, rng.integers(1, 5)).tolist()
        steps = [step for label in labels for step in [label] * int(rng.integers(1, 4)) + [0]]
        x.append([[float(step == one) for one in range(4)] for step in steps])
        y.append(labels)
    return x, y


def spec(x: Any, y: Any, **more: Any) -> dict[str, Any]:
    return {
        "data": {"type": "inline", "x": x, "y": y, "padding": {"maxlen": 20}},
        "architecture": {"layers": LAYERS},
        "loss": {"type": "ctc"},
        "optimizer": {"type": "adam", "learning_rate": 0.02},
        "training": {"epochs": 30, "batch_size": 16, "seed": 1},
    } | more


@pytest.mark.parametrize("padded_labels", [False, True])
def test_ctc_learns_and_predicts_sequences_of_any_length(api: Api, padded_labels: bool) -> None:
    x, y = labelled_sequences(80)
    if padded_labels:  # padded with 0 to the length of their sequence
        y = [labels + [0] * (len(steps) - len(labels)) for steps, labels in zip(x, y, strict=True)]
    job = api.trained(**spec(x, y))
    assert job["status"] == "succeeded", job["error"]
    assert job["latest"]["edit_distance"] < 0.05
    answer = api.client.post(f"/v1/jobs/{job['id']}/predictions", json={"instances": x[:20]})
    assert answer.status_code == 200, answer.text
    predicted = [one["value"] for one in answer.json()["predictions"]]
    true = [[label for label in labels if label] for labels in y[:20]]
    assert sum(one == other for one, other in zip(predicted, true, strict=True)) >= 19
    inspection = api.client.post(f"/v1/jobs/{job['id']}/inspect", json={"instances": x[:2], "targets": true[:2]})
    assert inspection.status_code == 200, inspection.text


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"loss": {"type": "mean_squared_error"}}, "/data/y", "rows of different lengths, which mean_squared_error cannot"),
    (
        {"architecture": {"layers": [*LAYERS[:2], {"type": "dense", "units": 3}]}},
        "/architecture/layers/2",
        "go up to 3",
    ),
    ({"architecture": {"layers": ["flatten", {"type": "dense", "units": 3}]}}, "/architecture/layers/1", "needs steps"),
]


@pytest.mark.parametrize(("change", "pointer", "words"), REFUSED)
def test_ctc_with_unsuitable_loss_or_architecture_is_refused(
    client: TestClient, change: dict[str, Any], pointer: str, words: str
) -> None:
    x, y = labelled_sequences(20)
    answer = client.post("/v1/jobs", json=spec(x, y, **change))
    assert answer.status_code == 422, answer.text
    [error] = answer.json()["errors"]
    assert error["pointer"] == pointer
    assert words in error["message"]


def test_ctc_row_with_more_labels_than_steps_fails_the_job(api: Api) -> None:
    x, y = labelled_sequences(20)
    y[3] = [1] * len(x[3])
    job = api.trained(**spec(x, y))
    assert (job["status"], job["error"]["code"]) == ("failed", "invalid_data")
    assert "more labels than steps" in job["error"]["message"]
