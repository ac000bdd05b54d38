"""Columns of many kinds over HTTP: each with an encoder of its own, trained and asked with raw records."""

import json
from typing import Any

import pytest

from tests.api.conftest import Api

WORDS = ("red", "round", "cheap", "new")


def row(number: int) -> dict[str, Any]:
    """Return a record; what is bought depends on each of its columns a little."""
    return {
        "age": number % 60 + 20,
        "amount": 10 ** (number % 5),
        "size": (number * 7) % 13 if number % 9 else None,
        "city": ["Oslo", "Bergen", "Tromsø", f"village {number % 40}"][number % 4],
        "visited": f"2024-{number % 12 + 1:02d}-{number % 28 + 1:02d}",
        "tags": "; ".join(WORDS[: number % 4 + 1]),
        "paid": "yes" if number % 3 else "no",
        "place": f"{number % 5 / 4} {number % 7 / 6}",
        "bought": "a" if (number % 3 == 0) ^ (number % 5 > 2) else "b",
    }


ENCODERS: dict[str, dict[str, Any]] = {
    "age": {"type": "min_max"},
    "amount": {"type": "log"},
    "size": {"type": "robust"},
    "city": {"type": "one_hot", "max_categories": 3, "other": True},
    "visited": {"type": "datetime", "parts": ["age", "month"]},
    "tags": {"type": "tags", "separator": ";", "vocabulary": 4},
    "paid": {"type": "boolean"},
    "place": {"type": "vector", "length": 2},
}
LAYERS = [{"type": "dense", "units": 16, "activation": "relu"}, {"type": "dense", "units": 1}]
WIDTH = 1 + 1 + 2 + 4 + 3 + 4 + 1 + 2


def upload(api: Api) -> str:
    lines = "\n".join(json.dumps(row(number)) for number in range(240))
    answer = api.client.post("/v1/datasets", content=lines, headers={"Content-Type": "application/jsonl"})
    assert answer.status_code in (200, 201), answer.text
    return str(answer.json()["id"])


def spec(dataset: str, features: list[Any]) -> dict[str, Any]:
    return {
        "data": {"type": "dataset", "id": dataset, "target": "bought", "features": features},
        "architecture": {
            "layers": [{"type": "dense", "units": 16, "activation": "relu"}, {"type": "dense", "units": 1}]
        },
        "optimizer": {"type": "adam", "learning_rate": 0.02},
        "training": {"epochs": 40, "batch_size": 32, "seed": 1, "metrics": ["accuracy"]},
    }


def test_each_column_has_its_own_encoder(api: Api) -> None:
    features = [{"column": name, "encoder": encoder} for name, encoder in ENCODERS.items()]
    body = spec(upload(api), features)
    checked = api.client.post("/v1/jobs/validate", json=body).json()
    assert checked["layers"][0]["output_shape"] == [16]
    assert checked["parameters"] == WIDTH * 16 + 16 + 16 + 1
    job = api.trained(**body)
    assert job["status"] == "succeeded", job["error"]
    assert job["latest"]["accuracy"] > 0.95
    records = [{name: value for name, value in row(number).items() if name != "bought"} for number in range(12)]
    path = f"/v1/jobs/{job['id']}/predictions"
    found = api.client.post(path, json={"instances": records}).json()["predictions"]
    assert [one["label"] for one in found] == [row(number)["bought"] for number in range(12)]
    as_json = [record | {"tags": record["tags"].split("; "), "paid": record["paid"] == "yes"} for record in records]
    assert api.client.post(path, json={"instances": as_json}).json()["predictions"] == found
    odd = records[1] | {"city": "Atlantis", "tags": "huge", "visited": "soon"}
    refused = api.client.post(path, json={"instances": [odd]})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/instances/0/visited")
    (doubtful,) = api.client.post(path, json={"instances": [odd | {"visited": "2024-05-01"}]}).json()["predictions"]
    assert {one["pointer"] for one in doubtful["warnings"]} == {"/city", "/tags"}


@pytest.mark.parametrize(
    ("feature", "pointer", "words"),
    [
        ({"column": "place", "encoder": {"type": "vector"}}, "/data/features/0/encoder/length", "is required"),
        ({"column": "age", "encoder": {"type": "tags"}}, "/data/features/0/encoder", "tags does not encode"),
        ({"column": "paid", "encoder": {"type": "quantile"}}, "/data/features/0/encoder", "quantile does not encode"),
        ({"column": "age", "encoder": {"type": "minmax"}}, "/data/features/0/encoder", "did you mean min_max?"),
        ({"column": "age", "encoder": {"type": "quantile", "quantiles": 1}}, "/data/features/0/encoder/quantiles", "2"),
    ],
)
def test_encoder_that_does_not_fit_is_refused(embedded: Api, feature: dict[str, Any], pointer: str, words: str) -> None:
    answer = embedded.client.post("/v1/jobs", json=spec(upload(embedded), [feature]))
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["pointer"].startswith(pointer)
    assert words in error["message"]
