"""What a fault is, and what some of them share."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from harness.chaos.place import COMPOSE, EMBEDDED, SERVERS
from harness.chaos.rounds import Round

BEHIND = (SERVERS,)
EVERYWHERE = (EMBEDDED, SERVERS, COMPOSE)


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong."""

    words: str
    act: Callable[[Round], None]
    """Posts the round's job, and does the harm; whatever it leaves broken is mended after it."""
    where: tuple[str, ...] = (EMBEDDED, SERVERS)
    workers: int = 1
    faketime: bool = False
    """Whether the processes' wall clock must be one that can be set."""


def server_ends(name: Literal["redis", "postgres"], number: int, r: Round) -> None:
    """A server of the place gets the signal while a job trains, and is started again."""
    server = getattr(r.place, name)
    r.post()
    r.moment()
    r.hurt()
    server.end(number)
    r.moment(0.5)
    server.start()
