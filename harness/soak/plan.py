"""What a soak is made of: settings from the environment, and jobs of all sizes with what clients do to them."""

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
    """How much, for how long. Jobs are posted over the first nine tenths of `seconds`."""

    jobs: int = 2000
    clients: int = 20
    seconds: float = 600.0
    kill_seconds: float = 15.0
    """Between two kills, on average."""
    seed: int = 0
    database: str = "postgres"
    """Or sqlite, with the embedded broker."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Load":
        """`CHAINRULE_SOAK_JOBS` and so on, where they are set."""
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


SIZES: Mapping[str, tuple[int, Spec]] = {
    "tiny": (70, DOUBLING),
    "small": (20, _spirals(16, 40)),
    "medium": (8, _spirals(64, 150)),
    "large": (2, _spirals(256, 400)),
}
"""Of a hundred jobs so many, and what each is."""
WISHES: Mapping[str, int] = {"nothing": 70, "cancel": 12, "pause": 12, "watch": 6}
"""Of a hundred jobs so many; one that is paused is resumed a moment later."""


@dataclass(frozen=True)
class Errand:
    """One job that a client posts `at` seconds after the start, and what it does to it `later` seconds after that."""

    at: float
    size: str
    wish: str
    later: float
    priority: int


def errands(load: Load) -> list[Errand]:
    """The jobs of a soak, by its seed."""
    draw = random.Random(load.seed)
    return [
        Errand(
            at=load.seconds * 0.9 * number / load.jobs,
            size=draw.choices(list(SIZES), [share for share, _ in SIZES.values()])[0],
            wish=draw.choices(list(WISHES), list(WISHES.values()))[0],
            later=draw.expovariate(2.0),
            priority=draw.randint(-2, 2),
        )
        for number in range(load.jobs)
    ]
