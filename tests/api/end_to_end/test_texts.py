"""Texts: a table with a column of texts, encoded as each encoder of texts does, and predictions of raw texts."""

from typing import Any

import pytest

from tests.api.conftest import Api

FINE, POOR = ("a fine film", "very good indeed", "I liked it"), ("a poor film", "very bad indeed", "I left early")
TABLE = "review,stars,opinion\n" + "".join(
    f"{text} {row},{row},{opinion}\n"
    for row in range(8)
    for texts, opinion in ((FINE, "fine"), (POOR, "poor"))
    for text in texts
)
NET = [
    {"type": "embedding", "input_dim": 60, "output_dim": 8, "mask_zero": True},
    {"type": "global_average_pooling1d"},
    {"type": "dense", "units": 2},
]


def upload(api: Api) -> str:
    types = '{"review": "text"}'
    answer = api.client.post(
        "/v1/datasets", params={"types": types}, content=TABLE, headers={"Content-Type": "text/csv"}
    )
    return str(answer.raise_for_status().json()["id"])


def spec(dataset: str, encoder: dict[str, Any] | str) -> dict[str, Any]:
    return {
        "data": {
            "type": "dataset",
            "id": dataset,
            "features": [{"column": "review", "encoder": encoder}],
            "target": "opinion",
            "validation": {"fraction": 0.25, "stratify": True},
        },
        "architecture": {"layers": NET},
        "optimizer": {"type": "adam", "learning_rate": 0.05},
        "training": {"epochs": 40, "seed": 1, "batch_size": 8, "metrics": ["accuracy"]},
    }


@pytest.mark.parametrize("kind", ["characters", "words", "subwords"])
def test_texts_are_learnt_and_asked_raw(api: Api, kind: str) -> None:
    job = api.trained(**spec(upload(api), {"type": kind, "length": 24, "vocabulary": 60}))
    assert (job["status"], job["error"]) == ("succeeded", None)
    assert job["latest"]["val_accuracy"] == 1.0
    path = f"/v1/jobs/{job['id']}/predictions"
    records = {"instances": [{"review": "very good indeed"}, ["I left early"]]}
    first, second = api.client.post(path, json=records).raise_for_status().json()["predictions"]
    assert (first["label"], second["label"]) == ("fine", "poor")
    raw = api.client.post(path, content="very good indeed", headers={"Content-Type": "text/plain; charset=utf-8"})
    assert raw.raise_for_status().json()["predictions"] == [first]


def test_text_for_a_net_of_numbers_is_refused(api: Api) -> None:
    job = api.trained()
    answer = api.client.post(f"/v1/jobs/{job['id']}/predictions", content="six", headers={"Content-Type": "text/plain"})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/instances/0/0")


@pytest.mark.parametrize(
    ("feature", "pointer", "message"),
    [
        ({"column": "review", "encoder": {"type": "word"}}, "/encoder", "did you mean words?"),
        ({"column": "review", "encoder": "standard"}, "/encoder", "is of type text: use words"),
        ({"column": "review", "encoder": {"type": "words", "length": 0}}, "/encoder/length", "at least 1"),
        ({"column": "review", "encoder": {"type": "words", "size": 3}}, "/encoder/size", "not a known field"),
        ({"column": "review", "encode": "words"}, "/encode", "not a known field"),
        ({"encoder": "words"}, "/column", "is required"),
        ({"column": "reviews"}, "/column", 'there is no "reviews"'),
        (7, "", "must be an object"),
    ],
)
def test_wrong_feature_is_refused_at_its_place(api: Api, feature: Any, pointer: str, message: str) -> None:
    sent = spec(upload(api), "words")
    sent["data"]["features"] = [feature]
    answer = api.client.post("/v1/jobs/validate", json=sent)
    assert answer.status_code == 422
    error = answer.json()["errors"][0]
    assert error["pointer"].startswith(f"/data/features/0{pointer}")
    assert message in error["message"]
