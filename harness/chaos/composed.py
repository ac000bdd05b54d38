"""The third kind of place: the compose deployment as a user has it, with two workers."""

import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from sqlalchemy import make_url

from core.settings import Settings
from core.store.database import Database, open_database
from harness.chaos.place import COMPOSE, NotSo, Service
from harness.compose.run import Deployment, docker, take_down
from harness.processes import PATIENCE

URL = "/run/secrets/chainrule_database_url"


@dataclass
class Composed:
    """The deployment, as a fault sees it."""

    deployment: Deployment = field(default_factory=Deployment)
    kind: str = COMPOSE
    lease: float = Settings().lease_seconds
    parts: Sequence[str] = ("worker", "api", "postgres", "redis")
    small_disk: bool = False

    @property
    def url(self) -> str:
        """Where the API answers."""
        return f"http://127.0.0.1:{self.deployment.port}"

    def mend(self, workers: int) -> None:
        """Have everything run again, with so many workers."""
        self.deployment.compose("up", "--detach", "--no-recreate", "--scale", f"worker={workers}")
        self.deployment.ready()

    def restart(self, part: str) -> None:
        """Restart all containers of a service, and wait until the deployment is ready again."""
        self.deployment.compose("restart", part)
        self.deployment.ready()

    def database(self) -> str:
        """The database's address for this machine, which reaches the deployment's own network past its API."""
        url = make_url(self.deployment.compose("exec", "-T", "api", "cat", URL))
        (container,) = self.deployment.containers("postgres")
        told = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        return url.set(host=docker("inspect", "--format", told, container).strip()).render_as_string(
            hide_password=False
        )

    def until(self, look: Callable[[], object], what: str, seconds: float = PATIENCE) -> None:
        """Wait until this is so. Raises `NotSo`, with what the processes said."""
        deadline = time.monotonic() + seconds
        while not look():
            if time.monotonic() > deadline:
                raise NotSo(f"not so: {what}\n{self.said()}")
            time.sleep(0.05)

    def said(self, lines: int = 60) -> str:
        """The last that the containers said."""
        return self.deployment.compose("logs", "--tail", str(lines))


def no_compose() -> str | None:
    """Why there is no compose here, if so."""
    try:
        subprocess.run(["docker", "compose", "ls"], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "no Docker with Compose is here"
    return None


@contextmanager
def a_deployment() -> Iterator[tuple[Service, Database]]:
    """A deployment that works, taken down with the block; the door to its database beside it."""
    place = Composed()
    with ExitStack() as stack:
        stack.callback(take_down, place.deployment)
        place.deployment.compose("build", "--quiet", timeout=900)
        place.mend(2)
        database = open_database(place.database())
        stack.callback(database.close)
        yield place, database
