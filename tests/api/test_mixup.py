"""Mixtures of rows over HTTP."""

from typing import Any

import numpy as np
import pytest

from tests.api.conftest import Api

NUMBERS = np.random.default_rng(0).standard_normal((24, 3)).round(3)
TARGETS: list[tuple[list[Any], int, str | None]] = [
    (NUMBERS[:, 0].tolist(), 1, None),
    ([("no", "yes")[int(a > 0)] for a in NUMBERS[:, 0]], 1, None),
    ([("no", "yes")[int(a > 0)] for a in NUMBERS[:, 0]], 2, None),
    ((NUMBERS[:, 0] > 0).astype(int).tolist(), 3, "kl_divergence"),
    ((NUMBERS > 0).astype(int).tolist(), 3, "dice"),
]


@pytest.mark.parametrize(("y", "units", "loss"), TARGETS)
def test_any_targets_that_can_be_mixed_are_learnt(embedded: Api, y: list[Any], units: int, loss: str | None) -> None:
    job = embedded.trained(
        data={"type": "inline", "x": NUMBERS.tolist(), "y": y, "validation": {"fraction": 0.25}},
        architecture={"layers": [{"type": "dense", "units": units}]},
        training={"epochs": 3, "batch_size": 5, "mixup": {"alpha": 0.4}, "inspect_every": 2},
        loss=loss,
    )
    assert (job["status"], job["error"], job["progress"]["epoch"]) == ("succeeded", None, 3)


@pytest.mark.parametrize("alpha", [0, -1, 1001])
def test_an_alpha_that_is_none_is_refused(embedded: Api, alpha: float) -> None:
    body = {"data": {"type": "builtin", "name": "xor"}, "architecture": {"layers": [{"type": "dense", "units": 2}]}}
    answer = embedded.client.post("/v1/jobs", json=body | {"training": {"mixup": {"alpha": alpha}}})
    assert answer.status_code == 422
    assert "/training/mixup/alpha" in [error["pointer"] for error in answer.json()["errors"]]
