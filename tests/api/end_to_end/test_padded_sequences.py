"""Padding: sequences of different lengths train like sequences that the client padded, and predict unpadded."""

from typing import Any

import pytest

from tests.api.conftest import Api

SEQUENCES = [[3, 1, 2], [4], [2, 5], [1, 2, 3, 4], [5, 5], [1]]
PADDED = [[*row, *[0] * (4 - len(row))] for row in SEQUENCES]
LENGTHS = [len(row) for row in SEQUENCES]
NETWORK: dict[str, Any] = {
    "layers": [
        {"type": "embedding", "input_dim": 6, "output_dim": 3, "mask_zero": True},
        {"type": "gru", "units": 4},
        {"type": "dense", "units": 1},
    ]
}
TAGGER: dict[str, Any] = {
    "layers": [
        NETWORK["layers"][0],
        {"type": "gru", "units": 4, "return_sequences": True},
        {"type": "dense", "units": 6},
    ]
}
TRAINING = {"epochs": 3, "batch_size": 2, "seed": 3}


def data(x: Any, y: Any, **more: Any) -> dict[str, Any]:
    return {"type": "inline", "x": x, "y": y, **more}


def test_padding_by_the_service_equals_padding_by_the_client(embedded: Api) -> None:
    by_service = embedded.trained(data=data(SEQUENCES, LENGTHS, padding={}), architecture=NETWORK, training=TRAINING)
    by_client = embedded.trained(data=data(PADDED, LENGTHS), architecture=NETWORK, training=TRAINING)
    assert by_service["status"] == "succeeded"
    assert by_service["weights_sha256"] == by_client["weights_sha256"]
    answers = [
        embedded.client.post(f"/v1/jobs/{job['id']}/predictions", json={"instances": rows}).raise_for_status().json()
        for job, rows in ((by_service, SEQUENCES), (by_client, PADDED))
    ]
    assert answers[0]["predictions"] == answers[1]["predictions"]


def test_sequence_targets_are_padded_like_their_inputs(embedded: Api) -> None:
    job = embedded.trained(
        data=data(SEQUENCES, SEQUENCES, padding={"side": "pre"}),
        architecture=TAGGER,
        training=TRAINING,
        loss="cross_entropy",
    )
    assert (job["status"], job["error"]) == ("succeeded", None)
    assert 0 <= job["latest"]["accuracy"] <= 1


def test_amount_of_masked_padding_does_not_change_predictions(embedded: Api) -> None:
    short, long = (
        embedded.trained(
            data=data(SEQUENCES, LENGTHS, padding={"maxlen": length}), architecture=NETWORK, training=TRAINING
        )
        for length in (4, 9)
    )
    predictions = [
        embedded.client.post(f"/v1/jobs/{job['id']}/predictions", json={"instances": [[1, 2]]}).json()["predictions"]
        for job in (short, long)
    ]
    assert predictions[0][0]["value"] == pytest.approx(predictions[1][0]["value"], abs=1e-5)


def test_bucketing_by_length_trains(embedded: Api) -> None:
    job = embedded.trained(
        data=data(SEQUENCES, LENGTHS, padding={}), architecture=NETWORK, training=TRAINING | {"bucket_by_length": True}
    )
    assert (job["status"], job["error"], job["progress"]["epoch"]) == ("succeeded", None, 3)
