"""The definition of a fault, and what several faults share."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from harness.chaos.deployment import COMPOSE, EMBEDDED, SERVERS
from harness.chaos.rounds import Round

SERVERS_ONLY = (SERVERS,)
ALL_KINDS = (EMBEDDED, SERVERS, COMPOSE)


@dataclass(frozen=True)
class Fault:
    """A fault that a round injects."""

    description: str
    act: Callable[[Round], None]
    """Post the round's job and inject the fault; the deployment is repaired afterwards."""
    where: tuple[str, ...] = (EMBEDDED, SERVERS)
    workers: int = 1
    faketime: bool = False
    """Whether the processes run with a wall clock that can be set."""


def server_ends(name: Literal["redis", "postgres"], number: int, r: Round) -> None:
    """End a server by a signal while the job trains, and restart it."""
    server = getattr(r.local, name)
    r.post()
    r.wait_randomly()
    r.mark_fault()
    server.end(number)
    r.wait_randomly(0.5)
    server.start()
