"""Contrastive and triplet losses: training of embeddings, and predictions that return embeddings."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.api.conftest import Api

LAYERS = [{"type": "dense", "units": 16, "activation": "tanh"}, {"type": "dense", "units": 2}]


def spec(y: Any, **more: Any) -> dict[str, Any]:
    data = {"type": "inline", "x": _rows(len(y)), "y": y, "validation": {"fraction": 0.2}}
    return {"data": data, "architecture": {"layers": LAYERS}, "training": {"epochs": 2, "batch_size": 16}} | more


def _rows(count: int) -> list[list[float]]:
    return np.random.default_rng(0).standard_normal((count, 3)).round(3).tolist()


@pytest.mark.parametrize("loss", ["contrastive", "triplet"])
@pytest.mark.parametrize("names", [["cat", "dog", "owl"], [3, 5, 9]], ids=["names", "numbers"])
def test_prediction_of_an_embedding_network_returns_vectors(api: Api, loss: str, names: list[Any]) -> None:
    y = [names[row % 3] for row in range(40)]
    job = api.trained(**spec(y, loss=loss))
    assert (job["status"], job["error"]) == ("succeeded", None)
    assert set(job["latest"]) >= {"loss", "val_loss"}
    answer = api.client.post(f"/v1/jobs/{job['id']}/predictions", json={"instances": _rows(5)})
    assert answer.status_code == 200, answer.text
    vectors = [one["value"] for one in answer.json()["predictions"]]
    assert [len(vector) for vector in vectors] == [2] * 5
    inspection = api.client.post(f"/v1/jobs/{job['id']}/inspect", json={"instances": _rows(3), "targets": y[:3]})
    assert inspection.status_code == 200, inspection.text
    wrong = api.client.post(f"/v1/jobs/{job['id']}/inspect", json={"instances": _rows(1), "targets": [[1, 2]]})
    assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (422, "/targets/0"), wrong.text


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"y": [0.5] * 10}, "/loss", "needs the class of each row"),
    ({"y": [[1, 2]] * 10}, "/loss", "needs the class of each row"),
    ({"y": [2**24, 2**24 + 1] * 5}, "/loss", "takes class numbers up to 16,777,216: use class names"),
    ({"metrics": ["accuracy"]}, "/training/metrics/0", "accuracy measures classes, but triplet predicts embeddings"),
    ({"layers": [{"type": "reshape", "target_shape": [3, 1]}, *LAYERS]}, "/architecture/layers/2", "needs one vector"),
]


@pytest.mark.parametrize(("change", "pointer", "words"), WRONG)
def test_spec_unsuitable_for_embeddings_is_refused(api: Api, change: dict[str, Any], pointer: str, words: str) -> None:
    body = spec(change.get("y", [0, 1] * 5), loss="triplet")
    body["training"]["metrics"] = change.get("metrics")
    body["architecture"] = {"layers": change.get("layers", LAYERS)}
    answer = api.client.post("/v1/jobs", json=body)
    assert answer.status_code == 422
    assert [(e["pointer"], words in e["message"]) for e in answer.json()["errors"]] == [(pointer, True)], answer.text


def test_inspection_of_many_pairs_beyond_the_memory_limit_is_refused(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    job = api.trained(**spec([0, 1] * 10, loss="triplet"))
    limited = api.services.settings.model_copy(update={"max_memory_bytes": 500_000})
    monkeypatch.setattr(api.client.app.state, "services", replace(api.services, settings=limited))  # type: ignore[attr-defined]
    few, many = (
        api.client.post(
            f"/v1/jobs/{job['id']}/inspect", json={"instances": _rows(rows), "targets": [0, 1] * (rows // 2)}
        )
        for rows in (10, 200)
    )
    assert few.status_code == 200, few.text
    assert (many.status_code, many.json()["errors"][0]["pointer"]) == (422, "/instances")
