"""A project of the compose file, and a client of its API. Needs the standard library only."""

import json
import os
import secrets
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

ROOT = Path(__file__).resolve().parents[2]

Json = dict[str, Any]


class StepFailed(Exception):
    """A step of the test failed."""


def require(condition: object, message: str) -> None:
    """Raise `StepFailed` unless the condition is true."""
    if not condition:
        raise StepFailed(message)


@dataclass
class Deployment:
    """One project of the compose file, and a client of its API."""

    project: str = field(default_factory=lambda: f"chainrule-try-{secrets.token_hex(3)}")
    port: int = field(default_factory=lambda: free_port())  # noqa: PLW0108 - defined below

    def compose(self, *arguments: str, timeout: float = 300, **variables: str) -> str:
        """Run a compose command, with these variables, and return its output. Raises `StepFailed` if it fails."""
        variables |= {"CHAINRULE_PORT": str(self.port)}
        return docker("compose", "--project-name", self.project, *arguments, timeout=timeout, **variables)

    def containers(self, service: str = "", *, ended: bool = False) -> list[str]:
        """Return the container ids of a service, or of all; with `ended`, include stopped containers."""
        return self.compose("ps", "--quiet", *(["--all"] if ended else []), *([service] if service else [])).split()

    def ask(self, path: str, body: object = None, *, content_type: str = "application/json") -> Json:
        """Return the JSON answer to a GET, or to a POST of the body. Raises `OSError` unless it succeeds."""
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode() if body is not None else None
        request = Request(f"http://127.0.0.1:{self.port}{path}", data=data)
        request.add_header("Content-Type", content_type)
        try:
            with build_opener(ProxyHandler({})).open(request, timeout=20) as answer:
                return dict(json.load(answer))
        except HTTPError as error:
            raise OSError(f"{path}: {error.code} {error.read().decode(errors='replace')[:500]}") from None

    def post(self, spec: Json) -> str:
        """Post a job and return its id."""
        return str(self.ask("/v1/jobs", spec)["id"])

    def job(self, job: str) -> Json:
        """Return the job as it is now."""
        return self.ask(f"/v1/jobs/{job}")

    def ready(self) -> None:
        """Wait until the API is ready and every container with a health check is healthy."""
        until("the service is ready", lambda: self.ask("/health/ready")["status"] == "ready")
        until("all containers are healthy", lambda: set(self.health().values()) == {"healthy"})

    def health(self) -> dict[str, str]:
        """Return the health of each running container."""
        health_format = "{{.Name}} {{if .State.Health}}{{.State.Health.Status}}{{else}}unchecked{{end}}"
        lines = docker("inspect", "--format", health_format, *self.containers()).split("\n")
        return {name: state for name, _, state in (line.partition(" ") for line in lines if line)}

    def restarts(self) -> dict[str, int]:
        """Return how often Docker has restarted each container."""
        lines = docker("inspect", "--format", "{{.Name}} {{.RestartCount}}", *self.containers(ended=True)).splitlines()
        return {name: int(count) for name, _, count in (line.partition(" ") for line in lines)}

    def scale_to_three_workers(self) -> None:
        """Start three workers and all missing containers; leave running ones alone."""
        self.compose("up", "--detach", "--no-recreate", "--scale", "worker=3")
        self.ready()

    def wait_until_training(self, job: str) -> Json:
        """Wait until the job has trained for five epochs, and return it."""
        now: Json = until("the job trains", lambda: (now := self.job(job))["progress"]["epoch"] >= 5 and now)
        require(now["status"] == "running", f"the job is already {now['status']}: it is too late for a fault")
        return now

    def wait_for_success(self, job: str, seconds: float = 300) -> Json:
        """Wait for the job's end, require that it succeeded, and return it."""
        ended: Json = until(
            "the job ends", lambda: (now := self.job(job))["status"] in {"succeeded", "failed"} and now, seconds
        )
        require(ended["status"] == "succeeded", f"the job failed: {ended['error']}")
        return ended


def docker(*arguments: str, timeout: float = 120, **variables: str) -> str:
    """Run a docker command in the folder of the compose file, with these variables, and return its output."""
    try:
        result = subprocess.run(
            ["docker", *arguments],
            cwd=ROOT,
            env=os.environ | variables,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise StepFailed(f"docker {' '.join(arguments)}: still running after {timeout:g} s") from None
    require(
        result.returncode == 0, f"docker {' '.join(arguments)}: exit code {result.returncode}\n{result.stderr[-3000:]}"
    )
    return result.stdout


def free_port() -> int:
    """Return a free port of this machine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(what: str, condition: Callable[[], Any], seconds: float = 180) -> Any:
    """Return the first true answer; an unreachable service is asked again. Raises `StepFailed` after `seconds`."""
    deadline, last = time.monotonic() + seconds, "the condition was false"
    while time.monotonic() < deadline:
        try:
            if answer := condition():
                return answer
        except OSError as error:
            last = str(error)
        time.sleep(0.2)
    raise StepFailed(f"not reached in {seconds:g} s: {what} ({last})")


def take_down(deployment: Deployment) -> None:
    """Remove the project with its volumes."""
    deployment.compose("down", "--volumes", "--remove-orphans", "--timeout", "30", timeout=180)
    left = docker("volume", "ls", "--quiet", "--filter", f"label=com.docker.compose.project={deployment.project}")
    require(not left.strip(), f"volumes remain: {left}")
