"""What a fault is."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.chaos.place import EMBEDDED, SERVERS
from tests.chaos.rounds import Round

BEHIND = (SERVERS,)


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
