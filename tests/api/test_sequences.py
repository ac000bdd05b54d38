"""Sequences of different lengths train as they would if a client had filled them up, and are asked as they are."""

from typing import Any

import pytest

from tests.api.conftest import Api

WORDS = [[3, 1, 2], [4], [2, 5], [1, 2, 3, 4], [5, 5], [1]]
FILLED = [[*row, *[0] * (4 - len(row))] for row in WORDS]
LENGTHS = [len(row) for row in WORDS]
NET: dict[str, Any] = {
    "layers": [
        {"type": "embedding", "input_dim": 6, "output_dim": 3, "mask_zero": True},
        {"type": "gru", "units": 4},
        {"type": "dense", "units": 1},
    ]
}
TAGGER: dict[str, Any] = {
    "layers": [NET["layers"][0], {"type": "gru", "units": 4, "return_sequences": True}, {"type": "dense", "units": 6}]
}
TRAINING = {"epochs": 3, "batch_size": 2, "seed": 3}


def data(x: Any, y: Any, **more: Any) -> dict[str, Any]:
    return {"type": "inline", "x": x, "y": y, **more}


def test_padded_rows_train_as_rows_that_were_filled_up(embedded: Api) -> None:
    padded = embedded.trained(data=data(WORDS, LENGTHS, padding={}), architecture=NET, training=TRAINING)
    filled = embedded.trained(data=data(FILLED, LENGTHS), architecture=NET, training=TRAINING)
    assert padded["status"] == "succeeded"
    assert padded["weights_sha256"] == filled["weights_sha256"]
    answers = [
        embedded.client.post(f"/v1/jobs/{job['id']}/predictions", json={"instances": rows}).raise_for_status().json()
        for job, rows in ((padded, WORDS), (filled, FILLED))
    ]
    assert answers[0]["predictions"] == answers[1]["predictions"]


def test_a_class_for_each_step_of_its_row(embedded: Api) -> None:
    job = embedded.trained(
        data=data(WORDS, WORDS, padding={"side": "pre"}), architecture=TAGGER, training=TRAINING, loss="cross_entropy"
    )
    assert (job["status"], job["error"]) == ("succeeded", None)
    assert 0 <= job["latest"]["accuracy"] <= 1


def test_what_fills_up_changes_nothing_where_it_is_hidden(embedded: Api) -> None:
    short, long = (
        embedded.trained(data=data(WORDS, LENGTHS, padding={"maxlen": most}), architecture=NET, training=TRAINING)
        for most in (4, 9)
    )
    asked = [
        embedded.client.post(f"/v1/jobs/{job['id']}/predictions", json={"instances": [[1, 2]]}).json()["predictions"]
        for job in (short, long)
    ]
    assert asked[0][0]["value"] == pytest.approx(asked[1][0]["value"], abs=1e-5)


def test_batches_are_cut_by_length_where_that_is_wanted(embedded: Api) -> None:
    job = embedded.trained(
        data=data(WORDS, LENGTHS, padding={}), architecture=NET, training=TRAINING | {"bucket_by_length": True}
    )
    assert (job["status"], job["error"], job["progress"]["epoch"]) == ("succeeded", None, 3)
