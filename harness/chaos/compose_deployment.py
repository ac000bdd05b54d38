"""The compose deployment as a user runs it, with two workers."""

import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from sqlalchemy import make_url

from core.settings import Settings
from core.store.database import Database, open_database
from harness.chaos.deployment import COMPOSE, Deployment, NotReached
from harness.compose.project import Deployment as ComposeProject
from harness.compose.project import docker, take_down
from harness.processes import TIMEOUT_SECONDS

URL = "/run/secrets/chainrule_database_url"


@dataclass
class ComposeDeployment:
    """A compose project with the interface of `Deployment`."""

    project: ComposeProject = field(default_factory=ComposeProject)
    kind: str = COMPOSE
    lease_seconds: float = Settings().lease_seconds
    parts: Sequence[str] = ("worker", "api", "postgres", "redis")
    small_disk: bool = False

    @property
    def url(self) -> str:
        """The API's address."""
        return f"http://127.0.0.1:{self.project.port}"

    def repair(self, workers: int) -> None:
        """Restart whatever does not run, and have this number of workers."""
        self.project.compose("up", "--detach", "--no-recreate", "--scale", f"worker={workers}")
        self.project.ready()

    def restart(self, part: str) -> None:
        """Restart all containers of a service, and wait until the deployment is ready again."""
        self.project.compose("restart", part)
        self.project.ready()

    def database(self) -> str:
        """Return the database's address on the project's internal network, which this machine can reach."""
        url = make_url(self.project.compose("exec", "-T", "api", "cat", URL))
        (container,) = self.project.containers("postgres")
        template = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        return url.set(host=docker("inspect", "--format", template, container).strip()).render_as_string(
            hide_password=False
        )

    def until(self, condition: Callable[[], object], what: str, seconds: float = TIMEOUT_SECONDS) -> None:
        """Wait until the condition holds. Raises `NotReached` with the logs after `seconds`."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise NotReached(f"not reached: {what}\n{self.logs()}")
            time.sleep(0.05)

    def logs(self, lines: int = 60) -> str:
        """Return the last lines of the containers' logs."""
        return self.project.compose("logs", "--tail", str(lines))


def why_no_compose() -> str | None:
    """Return why compose cannot be used here, or None if it can."""
    try:
        subprocess.run(["docker", "compose", "ls"], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "Docker Compose is not available"
    return None


@contextmanager
def compose_deployment() -> Iterator[tuple[Deployment, Database]]:
    """Yield a running deployment and its database, and take it down with the block."""
    deployment = ComposeDeployment()
    with ExitStack() as stack:
        stack.callback(take_down, deployment.project)
        deployment.project.compose("build", "--quiet", timeout=900)
        deployment.repair(2)
        database = open_database(deployment.database())
        stack.callback(database.close)
        yield deployment, database
