"""An attack, the service that it is made on, and the figures that it must not exceed."""

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.load.client import JSON, Answer, request
from harness.processes import Processes

Json = dict[str, Any]


@dataclass(frozen=True)
class Extent:
    """How large and how long the attacks are."""

    scale: float = 1.0
    """Factor of all numbers and sizes."""
    seconds: float = 20.0
    """Seconds after which an attacker gives up."""
    least_seconds: float = 5.0
    """Seconds that the bystanders are watched at least."""
    idle_seconds: float = 30.0
    """Seconds after the end of the attack until the memory that is kept is measured."""
    database: str = "postgres"
    """`postgres` or `sqlite`."""


FULL = Extent()
SHORT = Extent(scale=0.01, seconds=4.0, least_seconds=0.5, idle_seconds=1.0, database="sqlite")


@dataclass(frozen=True)
class Target:
    """A running service under attack."""

    running: Processes
    extent: Extent

    @property
    def port(self) -> int:
        """The API's port."""
        return self.running.settings.port

    def scaled(self, number: int, least: int = 1) -> int:
        """Return the number at this run's scale."""
        return max(least, round(number * self.extent.scale))

    def ask(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] = JSON) -> Answer:
        """Send one request of the attack."""
        return request(self.port, method, path, body, headers, seconds=self.extent.seconds)

    def post(self, path: str, body: bytes, headers: Mapping[str, str] = JSON) -> Answer:
        """Send one POST of the attack."""
        return self.ask("POST", path, body, headers)


@dataclass(frozen=True)
class Must:
    """What an attack must not exceed. Memory counts in megabytes above that before the attack."""

    statuses: Collection[int] = (422,)
    """The statuses that answers may have."""
    refused: Collection[int] = ()
    """Statuses of which one answer at least must have one."""
    seconds: float | None = None
    """Seconds that an answer may take."""
    answer_bytes: float = 100e3
    health_p99: float = 50.0
    job_p99: float = 200.0
    stream_gap: float = 2.0
    growth: float = 150.0
    kept: float = 100.0


Run = Callable[[], list[Answer]]


@dataclass(frozen=True)
class Attack:
    """One kind of abuse: `prepare` trains and builds what it needs, and returns the attack itself."""

    name: str
    prepare: Callable[[Target], Run]
    must: Must
    settings: Mapping[str, object] = field(default_factory=dict)
    """Settings of the service; those that this version does not have are left out."""


def as_bytes(value: object) -> bytes:
    """Return a value as a JSON body."""
    return json.dumps(value, separators=(",", ":")).encode()
