"""Mixup: which targets it supports, and which parameters it refuses."""

from typing import Any

import numpy as np
import pytest

from tests.api.conftest import Api

X = np.random.default_rng(0).standard_normal((24, 3)).round(3)
TARGETS: list[tuple[list[Any], int, str | None]] = [
    (X[:, 0].tolist(), 1, None),
    ([("no", "yes")[int(a > 0)] for a in X[:, 0]], 1, None),
    ([("no", "yes")[int(a > 0)] for a in X[:, 0]], 2, None),
    ((X[:, 0] > 0).astype(int).tolist(), 3, "kl_divergence"),
    ((X > 0).astype(int).tolist(), 3, "dice"),
]


@pytest.mark.parametrize(("y", "units", "loss"), TARGETS)
def test_mixup_trains_on_every_supported_kind_of_target(
    embedded: Api, y: list[Any], units: int, loss: str | None
) -> None:
    job = embedded.trained(
        data={"type": "inline", "x": X.tolist(), "y": y, "validation": {"fraction": 0.25}},
        architecture={"layers": [{"type": "dense", "units": units}]},
        training={"epochs": 3, "batch_size": 5, "mixup": {"alpha": 0.4}, "inspect_every": 2},
        loss=loss,
    )
    assert (job["status"], job["error"], job["progress"]["epoch"]) == ("succeeded", None, 3)


@pytest.mark.parametrize("alpha", [0, -1, 1001])
def test_mixup_with_alpha_out_of_range_is_refused(embedded: Api, alpha: float) -> None:
    body = {"data": {"type": "builtin", "name": "xor"}, "architecture": {"layers": [{"type": "dense", "units": 2}]}}
    answer = embedded.client.post("/v1/jobs", json=body | {"training": {"mixup": {"alpha": alpha}}})
    assert answer.status_code == 422
    assert "/training/mixup/alpha" in [error["pointer"] for error in answer.json()["errors"]]
