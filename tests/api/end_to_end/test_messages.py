"""What a client who knows other libraries is told by the API about one mistake: where it is, and what to write."""

import copy
from typing import Any

import pytest

from tests.api.conftest import Api

SPEC: dict[str, Any] = {
    "data": {"type": "inline", "x": [[1], [2], [3], [4]], "y": [2, 4, 6, 8]},
    "architecture": {"layers": [{"type": "dense", "units": 1}]},
}

MISTAKES: list[tuple[dict[str, Any], str, str]] = [
    ({"architecture": {"layers": [{"type": "dence", "units": 1}]}}, "/architecture/layers/0", "did you mean dense?"),
    ({"architecture": {"layers": [{"type": "Dense", "units": 1}]}}, "/architecture/layers/0", "did you mean dense?"),
    ({"architecture": {"layers": [{"type": "ReLU"}]}}, "/architecture/layers/0", '"activation": "relu"'),
    ({"architecture": {"layers": [{"type": "dense", "neurons": 1}]}}, "/architecture/layers/0/neurons", "mean units?"),
    ({"optimizer": "Adam"}, "/optimizer", "did you mean adam?"),
    ({"optimizer": {"type": "adam", "lr": 0.1}}, "/optimizer/lr", "did you mean learning_rate?"),
    ({"loss": "mse"}, "/loss", "did you mean mean_squared_error?"),
    ({"epochs": 5}, "/epochs", "it is /training/epochs"),
    ({"validation_split": 0.2}, "/validation_split", "it is /data/validation/fraction"),
    (
        {"training": {"early_stopping": True}},
        "/training/early_stopping",
        'such as {"monitor": "val_loss", "patience": 5}',
    ),
    (
        {"training": {"early_stopping": {"monitor": "val_loss"}}},
        "/training/early_stopping/monitor",
        "set /data/validation",
    ),
]


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/jobs/validate"])
@pytest.mark.parametrize(("change", "pointer", "words"), MISTAKES)
def test_one_mistake_in_a_spec(embedded: Api, path: str, change: dict[str, Any], pointer: str, words: str) -> None:
    answer = embedded.client.post(path, json=copy.deepcopy(SPEC) | change)
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["pointer"] == pointer
    assert words in error["message"]


UPLOADS = [
    (b"SQLite format 3\x00", {}, "an SQLite database"),
    (b"SQLite format 3\x00", {"Content-Type": "text/csv"}, "an SQLite database"),
    (b"%PDF-1.7\n\x00", {}, "a PDF document"),
    (b"7z\xbc\xaf\x27\x1c\x00", {"Content-Type": "application/octet-stream"}, "a 7-Zip archive"),
    (b"<!DOCTYPE html><html></html>", {"Content-Type": "text/csv"}, "a web page"),
    (b"a,b\n1,2\n", {"Content-Type": "application/octet-stream"}, "?format=csv"),
    (b"[1, 2]", {"Content-Type": "application/json"}, "record 1 is no object"),
]


@pytest.mark.parametrize(("body", "headers", "words"), UPLOADS, ids=range(len(UPLOADS)))
def test_upload_that_is_not_read(embedded: Api, body: bytes, headers: dict[str, str], words: str) -> None:
    answer = embedded.client.post("/v1/datasets", content=body, headers=headers)
    assert answer.status_code == 422
    assert words in answer.json()["detail"]


def test_query_parameter(embedded: Api) -> None:
    answer = embedded.client.get("/v1/jobs?page_size=3")
    assert "did you mean limit?" in answer.json()["detail"]
