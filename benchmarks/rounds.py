"""Alternate contestants that do the same work, so that changes of the machine's speed affect all of them."""

import time
from collections.abc import Callable, Mapping

Contestant = Callable[[int], None]
"""Takes this many steps."""

REST = 0.03
"""Seconds before each turn: idle threads of the previous contestant keep a core (PyTorch's for 8 ms)."""


def alternate(contestants: Mapping[str, Contestant], rounds: int, seconds: float) -> dict[str, list[float]]:
    """Return seconds per step of each contestant in each round; one turn takes about `seconds`."""
    steps = {name: _steps_in(contestant, seconds) for name, contestant in contestants.items()}
    measured: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, contestant in contestants.items():
            time.sleep(REST)
            contestant(max(1, steps[name] // 20))  # warm caches, awake threads
            measured[name].append(_timed(contestant, steps[name]) / steps[name])
    return measured


def _steps_in(contestant: Contestant, seconds: float) -> int:
    steps = 1
    while (taken := _timed(contestant, steps)) < seconds / 10:
        steps *= 2
    return max(1, round(steps * seconds / taken))


def _timed(contestant: Contestant, steps: int) -> float:
    began = time.perf_counter()
    contestant(steps)
    return time.perf_counter() - began
