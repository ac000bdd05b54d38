"""Jobs without an architecture: a net is chosen, learns, and stands in the job's spec."""

import io
import math
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.api.conftest import Api
from tests.core.data.files.media import zipped


def upload(api: Api, content: str | bytes, kind: str = "text/csv") -> str:
    answer = api.client.post("/v1/datasets", content=content, headers={"Content-Type": kind})
    assert answer.status_code in (200, 201), answer.text
    return str(answer.json()["id"])


def trained(api: Api, **body: Any) -> dict[str, Any]:
    """Post a job with nothing but these fields, train it, and return it."""
    answer = api.client.post("/v1/jobs", json=body)
    assert answer.status_code == 201, answer.text
    api.train()
    return api.job(answer.json()["id"])


def table(rows: int = 400) -> str:
    rng = np.random.default_rng(2)
    lines = ["age,city,income"]
    for _ in range(rows):
        age, city = int(rng.integers(20, 70)), ["Oslo", "Bergen", "Tromsø"][int(rng.integers(3))]
        income = 40_000 + 900 * (age - 20) + 15_000 * (city == "Oslo") + rng.normal(0, 1_000)
        lines.append(f"{age},{city},{income:.0f}")
    return "\n".join(lines)


def test_numbers_of_a_large_unit_are_learnt_in_that_unit(api: Api) -> None:
    job = trained(
        api, data={"type": "dataset", "id": upload(api, table()), "target": "income"}, training={"metrics": ["r2"]}
    )
    assert job["status"] == "succeeded", job["error"]
    assert job["spec"]["architecture"]["layers"][-1]["type"] == "rescaling"
    assert job["spec"]["data"]["validation"] == {"fraction": 0.2}
    rows = api.client.get(f"/v1/jobs/{job['id']}/metrics?name=val_r2&limit=1000").json()["items"]
    assert rows[job["best"]["epoch"] - 1]["value"] > 0.97
    asked = {"instances": [{"age": 50, "city": "Oslo"}]}
    (found,) = api.client.post(f"/v1/jobs/{job['id']}/predictions", json=asked).json()["predictions"]
    assert found["value"] == pytest.approx(82_000, rel=0.05)


def test_spec_that_was_made_gives_the_same_net_again(api: Api) -> None:
    data = {"type": "dataset", "id": upload(api, table()), "target": "city"}
    first = trained(api, data=data, architecture="auto", training={"epochs": 3})
    again = trained(api, **first["spec"])
    assert first["spec"] == again["spec"]
    assert first["spec"]["training"]["epochs"] == 3
    assert first["weights_sha256"] == again["weights_sha256"]
    whole = api.client.get(f"/v1/jobs/{first['id']}/spec").json()
    assert whole == first["spec"]


def test_large_spec_is_completed_too(api: Api) -> None:
    x = [[math.sin(n / 100), n / 4000] for n in range(4000)]
    body = {"data": {"type": "inline", "x": x, "y": [100 * a + b for a, b in x]}, "training": {"epochs": 2}}
    checked = api.client.post("/v1/jobs/validate", json=body)
    assert checked.json()["layers"][-1]["type"] == "rescaling"
    job = api.client.post("/v1/jobs", json=body).json()
    whole = api.client.get(f"/v1/jobs/{job['id']}/spec").json()
    assert whole["data"]["x"] == x
    assert whole["architecture"]["layers"][-1]["type"] == "rescaling"
    api.train()
    assert api.job(job["id"])["status"] == "succeeded"


def test_texts_get_an_embedding(api: Api) -> None:
    rng = np.random.default_rng(1)
    words = {"good": ["fine", "great", "lovely"], "bad": ["poor", "awful", "dull"]}
    lines = [f"{' '.join(rng.choice([*words[kind], 'it', 'was'], 6))},{kind}" for kind in words for _ in range(120)]
    data = {"type": "dataset", "id": upload(api, "review,kind\n" + "\n".join(lines)), "target": "kind"}
    features = [{"column": "review", "encoder": {"type": "words", "length": 8, "vocabulary": 50}}]
    job = trained(api, data=data | {"features": features}, training={"epochs": 20, "metrics": ["accuracy"]})
    assert job["spec"]["architecture"]["layers"][0] == {"type": "embedding", "input_dim": 50, "output_dim": 32}
    assert job["latest"]["val_accuracy"] > 0.95


def test_pictures_get_convolutions(api: Api) -> None:

    from sklearn.datasets import load_digits  # noqa: PLC0415  test data only

    found, files = load_digits(), {}
    for number, (pixels, label) in enumerate(zip(found.images[:400], found.target, strict=False)):
        file = io.BytesIO()
        Image.fromarray((pixels * 15.9).astype(np.uint8)).save(file, "PNG")
        files[f"{label}/{number}.png"] = file.getvalue()
    job = trained(
        api,
        data={"type": "dataset", "id": upload(api, zipped(files), "application/zip")},
        training={"epochs": 15, "metrics": ["accuracy"]},
    )
    assert job["spec"]["architecture"]["layers"][0]["type"] == "conv2d"
    assert job["latest"]["val_accuracy"] > 0.9


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"architecture": "automatic"}, "/architecture"),
        ({"architecture": "auto", "layers": []}, "/layers"),
        ({"optimizer": "Adam"}, "/optimizer"),
        ({"data": {"type": "dataset", "id": "ds_nothing"}}, "/data/id"),
    ],
)
def test_mistake_beside_it_is_told_alone(embedded: Api, change: dict[str, Any], pointer: str) -> None:
    answer = embedded.client.post("/v1/jobs", json={"data": {"type": "inline", "x": [1, 2], "y": [2, 4]}} | change)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


def test_name_given_twice_is_refused(embedded: Api) -> None:
    body = '{"data": {"type": "inline", "x": [1, 2], "y": [2, 4]}, "name": "a", "name": "b"}'
    answer = embedded.client.post("/v1/jobs", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/name")
