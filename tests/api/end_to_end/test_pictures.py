"""Pictures: an archive of PNG files in folders, a small convolutional network, and a picture asked as it is."""

from base64 import b64encode
from functools import cache
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

from tests.api.conftest import Api
from tests.core.data.files.media import grey, picture, tarred, zipped

NET = [
    {"type": "conv2d", "filters": 16, "kernel_size": 3, "padding": "same", "activation": "relu"},
    {"type": "max_pooling2d"},
    {"type": "flatten"},
    {"type": "dense", "units": 10},
]
PNG = {"Content-Type": "image/png"}


@cache
def digits() -> dict[str, bytes]:
    """Return scikit-learn's digits as PNG files in a folder for each."""
    found = load_digits()
    pictures = enumerate(zip(found.images, found.target, strict=True))
    return {f"digits/{name}/{row}.png": picture(image * 255 / 16) for row, (image, name) in pictures}


def upload(api: Api, content: bytes, media_type: str = "application/zip") -> dict[str, Any]:
    answer = api.client.post("/v1/datasets", content=content, headers={"Content-Type": media_type})
    return dict(answer.raise_for_status().json())


def spec(dataset: str, units: int, **data: Any) -> dict[str, Any]:
    return {
        "data": {"type": "dataset", "id": dataset, **data},
        "architecture": {"layers": [*NET[:-1], {"type": "dense", "units": units}]},
        "optimizer": {"type": "adam", "learning_rate": 0.01},
        "training": {"epochs": 8, "seed": 1, "metrics": ["accuracy"]},
    }


def test_digits_as_files_are_learnt_and_asked_as_png(api: Api) -> None:
    files = digits()
    dataset = upload(api, zipped(files))
    file, label = dataset["columns"]
    assert (dataset["format"], dataset["rows"]) == ("zip", 1797)
    assert (file["type"], file["shape"], label["type"], label["distinct"]) == ("image", [8, 8, 1], "category", 10)
    job = api.trained(**spec(dataset["id"], 10, validation={"fraction": 0.2, "stratify": True}))
    assert (job["status"], job["error"]) == ("succeeded", None)
    assert job["latest"]["val_accuracy"] > 0.95
    held = api.client.get(f"/v1/jobs/{job['id']}/split", params={"part": "validation"}).json()["items"][:20]
    names = list(files)
    path = f"/v1/jobs/{job['id']}/predictions"
    labels = [
        api.client.post(path, content=files[names[row]], headers=PNG).raise_for_status().json()["predictions"][0]
        for row in held
    ]
    assert sum(one["label"] == names[row].split("/")[1] for one, row in zip(labels, held, strict=True)) >= 18
    coded = b64encode(files[names[held[0]]]).decode()
    for record in ({"file": coded}, [coded], {"file": {"b64": coded}}):
        answer = api.client.post(path, json={"instances": [record]}).raise_for_status().json()
        assert answer["predictions"] == labels[:1]


def test_a_picture_of_another_size_and_mode_is_asked(api: Api) -> None:
    dataset = upload(api, tarred({f"{n % 2}/{n}.png": grey(n % 2 * 255, 8, 8) for n in range(20)}, "w:gz"))
    encoder = {"type": "image", "size": [6, 4], "color": "rgb", "normalize": "standard"}
    job = api.trained(**spec(dataset["id"], 2, features=[{"column": "file", "encoder": encoder}]))
    assert (job["status"], job["error"]) == ("succeeded", None)
    white = picture(np.full((90, 33, 4), 255), "PNG")
    for content, media_type, label in (
        (white, "image/png", "1"),
        (picture(np.zeros((9, 9, 3)), "JPEG"), "image/jpeg", "0"),
    ):
        answer = api.client.post(
            f"/v1/jobs/{job['id']}/predictions", content=content, headers={"Content-Type": media_type}
        )
        assert answer.raise_for_status().json()["predictions"][0]["label"] == label


def test_what_is_no_picture_is_refused(api: Api) -> None:
    dataset = upload(api, zipped({f"{n % 2}/{n}.png": grey(n % 2 * 255, 8, 8) for n in range(20)}))
    job = api.trained(**spec(dataset["id"], 2))
    path = f"/v1/jobs/{job['id']}/predictions"
    answer = api.client.post(path, content=b"no picture", headers=PNG)
    error = answer.json()["errors"][0]
    assert (answer.status_code, error["pointer"]) == (422, "/instances/0/0")
    assert "is no picture that can be read" in error["message"]
    answer = api.client.post(path, json={"instances": [{"file": b64encode(grey(1)).decode()}, {"file": "1/3.png"}]})
    error = answer.json()["errors"][0]
    assert (answer.status_code, error["pointer"]) == (422, "/instances/1/file")
    assert "give a file in base64" in error["message"]


def test_a_picture_for_a_net_of_numbers_is_refused(api: Api) -> None:
    job = api.trained()
    answer = api.client.post(f"/v1/jobs/{job['id']}/predictions", content=grey(1), headers=PNG)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/instances/0/0")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (zipped({"../a.png": grey(1)}), "leads out of it"),
        (zipped({"cat/a.png": grey(1), "cat/b.png": b"no"}), '"cat/b.png" is no picture'),
        (grey(1), "put such files into a zip archive"),
    ],
)
def test_bad_archive_is_refused_and_nothing_is_stored(api: Api, content: bytes, message: str) -> None:
    before = api.client.get("/v1/datasets").json()["items"]
    answer = api.client.post("/v1/datasets", content=content, headers={"Content-Type": "application/zip"})
    assert answer.status_code == 422
    assert message in answer.json()["detail"]
    assert api.client.get("/v1/datasets").json()["items"] == before


def test_rows_are_names_and_labels(api: Api) -> None:
    dataset = upload(api, zipped({"cat/a.png": grey(1), "dog/b.png": grey(2)}))
    rows = api.client.get(f"/v1/datasets/{dataset['id']}/rows").raise_for_status().json()["items"]
    assert rows == [{"file": "cat/a.png", "label": "cat"}, {"file": "dog/b.png", "label": "dog"}]
