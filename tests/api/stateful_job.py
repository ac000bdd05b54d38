"""A spec whose training depends on all of its state, and its metric rows."""

from typing import Any

from core.store import events
from tests.api.conftest import Api

STATEFUL: dict[str, Any] = {
    "data": {"type": "builtin", "name": "spirals", "rows": 90, "validation": {"fraction": 0.25}},
    "architecture": {
        "layers": [
            {"type": "dense", "units": 8, "activation": "tanh"},
            {"type": "batch_normalization", "momentum": 0.9},
            {"type": "dropout", "rate": 0.2},
            {"type": "dense", "units": 2},
        ]
    },
    "loss": {"type": "cross_entropy"},
    "optimizer": {"type": "adam", "learning_rate": 0.01},
    "training": {"epochs": 30, "batch_size": 16, "shuffle": True, "seed": 3},
}
"""A spec whose training depends on all of its state: moments, running statistics, random numbers, shuffling."""


def spec_of(epochs: int, base: dict[str, Any] = STATEFUL, **options: Any) -> dict[str, Any]:
    """Return the spec with this many epochs and other training options."""
    return base | {"training": base["training"] | {"epochs": epochs} | options}


def metric_rows(api: Api, job: dict[str, Any], after: int = 0) -> list[Any]:
    """Return the job's stored metric rows of later steps."""
    with api.services.database.read() as s:
        return [row for row in events.stored_rows(s, job["id"], 0, 100_000) if row.step > after]
