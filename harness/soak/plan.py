"""The plan of a soak run: settings from the environment, and jobs of all sizes with the actions of their clients."""

import os
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.jobs.examples import DOUBLING

PREFIX = "CHAINRULE_SOAK_"

Spec = dict[str, Any]


@dataclass(frozen=True)
class Load:
    """The load of a run. Jobs are posted over the first nine tenths of `seconds`."""

    jobs: int = 2000
    clients: int = 20
    seconds: float = 600.0
    kill_seconds: float = 15.0
    """Average seconds between two kills."""
    seed: int = 0
    database: str = "postgres"
    """`postgres` with Redis, or `sqlite` with the embedded broker."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Load":
        """Return the load of the variables `CHAINRULE_SOAK_JOBS` and so on, with defaults for those not set."""
        fields = {name: kind for name, kind in cls.__annotations__.items() if PREFIX + name.upper() in environment}
        return cls(**{name: kind(environment[PREFIX + name.upper()]) for name, kind in fields.items()})


def _spirals(units: int, epochs: int) -> Spec:
    layers = [
        {"type": "dense", "units": units, "activation": "tanh"},
        {"type": "dropout", "rate": 0.1},
        {"type": "dense", "units": 2},
    ]
    return {
        "data": {"type": "builtin", "name": "spirals", "rows": 400, "validation": {"fraction": 0.25}},
        "architecture": {"layers": layers},
        "loss": {"type": "cross_entropy"},
        "optimizer": {"type": "adam", "learning_rate": 0.003},
        "training": {"epochs": epochs, "batch_size": 10, "seed": 7},
    }


JOB_SIZES: Mapping[str, tuple[int, Spec]] = {
    "tiny": (70, DOUBLING),
    "small": (20, _spirals(16, 40)),
    "medium": (8, _spirals(64, 150)),
    "large": (2, _spirals(256, 400)),
}
"""Percentage of the jobs and spec, by size."""
ACTION_SHARES: Mapping[str, int] = {"nothing": 70, "cancel": 12, "pause": 12, "watch": 6}
"""Percentage of the jobs by action; a paused job is resumed a moment later."""


@dataclass(frozen=True)
class PlannedJob:
    """A job that a client posts `start_seconds` after the start, and an action `delay_seconds` later."""

    start_seconds: float
    size: str
    action: str
    delay_seconds: float
    priority: int


def planned_jobs(load: Load) -> list[PlannedJob]:
    """Return the jobs of a run; they depend only on the load and its seed."""
    rng = random.Random(load.seed)
    return [
        PlannedJob(
            start_seconds=load.seconds * 0.9 * number / load.jobs,
            size=rng.choices(list(JOB_SIZES), [share for share, _ in JOB_SIZES.values()])[0],
            action=rng.choices(list(ACTION_SHARES), list(ACTION_SHARES.values()))[0],
            delay_seconds=rng.expovariate(2.0),
            priority=rng.randint(-2, 2),
        )
        for number in range(load.jobs)
    ]
