#!/usr/bin/env python3
"""Test of the compose deployment: start it, train jobs, inject faults meanwhile, and take it down.

Needs only Docker with Compose; the digits come from scikit-learn if it is installed. Exits with 0 if every step passed.
It uses a project name, volumes and a port of its own, so it can run beside a deployment in use.
"""

# ruff: noqa: T201 - it reports to a terminal

import json
import os
import random
import secrets
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

ROOT = Path(__file__).resolve().parents[2]
RUN_SECONDS = 2400  # seconds that the whole run may take
GRACE_SECONDS = 30.0  # seconds that docker-compose.yml gives a worker and an API to stop
MAX_IMAGE_BYTES = 400e6  # bytes
LONG_JOB_SECONDS = 12.0  # seconds that the long job trains without faults
CHILD_OF_INIT = "$(cat /proc/1/task/1/children)"  # the process that a container's init runs
CRASHES = {  # process 1 cannot be killed from inside its container: without an init it is sent a softer signal
    "postgres": "kill -QUIT 1",
    "redis": "kill -TERM 1",
    "api": f"kill -KILL {CHILD_OF_INIT}",
    "worker": f"kill -KILL {CHILD_OF_INIT}",
}

DIGITS = {
    "name": "digits",
    "architecture": {"layers": [{"type": "dense", "units": 64, "activation": "relu"}, {"type": "dense", "units": 10}]},
    "optimizer": {"type": "adam", "learning_rate": 0.002},
    "training": {"epochs": 20, "batch_size": 32, "seed": 7},
}

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

    def compose(self, *arguments: str, timeout: float = 300) -> str:
        """Run a compose command and return its output. Raises `StepFailed` if it fails."""
        return docker("compose", "--project-name", self.project, *arguments, port=self.port, timeout=timeout)

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


def docker(*arguments: str, port: int = 0, timeout: float = 120) -> str:
    """Run a docker command in the folder of the compose file and return its output."""
    environment = os.environ | {"CHAINRULE_PORT": str(port)}
    try:
        result = subprocess.run(
            ["docker", *arguments],
            cwd=ROOT,
            env=environment,
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


def until(what: str, ask: Callable[[], Any], seconds: float = 180) -> Any:
    """Return the first true answer; an unreachable service is asked again. Raises `StepFailed` after `seconds`."""
    deadline, last = time.monotonic() + seconds, "the condition was false"
    while time.monotonic() < deadline:
        try:
            if answer := ask():
                return answer
        except OSError as error:
            last = str(error)
        time.sleep(0.2)
    raise StepFailed(f"not reached in {seconds:g} s: {what} ({last})")


def starts(deployment: Deployment, _: Json) -> str:
    """`docker compose up` starts a service that becomes ready."""
    deployment.compose("build", "--quiet", timeout=600)
    began = time.monotonic()
    deployment.compose("up", "--detach", timeout=300)
    until("the service is ready", lambda: deployment.ask("/health/ready")["status"] == "ready")
    ready = time.monotonic() - began
    deployment.ready()
    return f"ready after {ready:.1f} s"


def is_confined(deployment: Deployment, _: Json) -> str:
    """Containers have no more rights than they need, and the image contains no build tools."""
    for one in json.loads(docker("inspect", *deployment.containers(ended=True))):
        host, name = one["HostConfig"], one["Name"]
        require(host["ReadonlyRootfs"], f"{name}: its root file system is writable")
        require(host["CapDrop"] == ["ALL"] and not host["CapAdd"], f"{name}: has capabilities")
        require("no-new-privileges:true" in host["SecurityOpt"], f"{name}: can gain privileges")
        require(one["Config"]["User"] not in {"", "0", "root"}, f"{name}: runs as root")
        require(host["Memory"] and host["PidsLimit"], f"{name}: has no limits")
        once = one["Config"]["Labels"]["com.docker.compose.service"] in {"secrets", "migrate"}
        require(
            host["RestartPolicy"]["Name"] == ("no" if once else "unless-stopped"), f"{name}: has a wrong restart policy"
        )
        require(host["LogConfig"]["Config"].get("max-size"), f"{name}: its log has no maximum size")
        published = [bound for ports in one["NetworkSettings"]["Ports"].values() for bound in ports or []]
        require({bound["HostIp"] for bound in published} <= {"127.0.0.1"}, f"{name}: is reachable from outside")
        environment = dict(variable.split("=", 1) for variable in one["Config"]["Env"])
        require("postgresql://" not in str(environment), f"{name}: the password is in its environment")
        threads = int(environment.get("OPENBLAS_NUM_THREADS", 0))
        require(not threads or host["NanoCpus"] == threads * 1e9, f"{name}: has different numbers of cores and threads")
    tools = deployment.compose(
        "exec", "-T", "api", "sh", "-c", "command -v gcc cc g++ make uv git curl wget; true"
    ).split()
    require(not tools, f"the image holds {tools}")
    size = int(docker("image", "inspect", "--format", "{{.Size}}", "chainrule:local"))
    require(size < MAX_IMAGE_BYTES, f"the image has {size / 1e6:.0f} MB")
    return f"image of {size / 1e6:.0f} MB"


def learns_doubling(deployment: Deployment, results: Json) -> str:
    """A job learns y = 2x."""
    job = deployment.post(deployment.ask("/openapi.json")["components"]["schemas"]["JobSpec"]["example"])
    deployment.wait_for_success(job)
    results["doubling"] = job
    return doubles(deployment, results)


def doubles(deployment: Deployment, results: Json) -> str:
    """The first job still predicts 6 → 12."""
    answer = deployment.ask(f"/v1/jobs/{results['doubling']}/predictions", {"instances": [[6]]})["predictions"][0][
        "value"
    ]
    require(abs(answer - 12) < 0.005, f"6 → {answer}")
    return f"6 → {answer:.2f}"


def learns_digits(deployment: Deployment, _: Json) -> str:
    """A job learns digits uploaded as CSV."""
    name, rows = load_digit_rows()
    header = [*(f"pixel_{index}" for index in range(len(rows[0]) - 1)), "digit"]
    table = "".join(",".join(map(str, row)) + "\n" for row in [header, *rows])
    types = "%7B%22digit%22%3A%22category%22%7D"
    dataset = deployment.ask(f"/v1/datasets?name=digits&types={types}", table, content_type="text/csv")
    held = {"fraction": 0.2, "stratify": True}
    data = {"type": "dataset", "id": dataset["id"], "target": "digit", "validation": held}
    accuracy = deployment.wait_for_success(deployment.post(DIGITS | {"data": data}))["latest"]["val_accuracy"]
    require(accuracy > 0.93, f"accuracy on the held-out digits is only {accuracy:.1%}")
    return f"accuracy on the held-out digits {accuracy:.1%} ({name})"


def load_digit_rows() -> tuple[str, list[list[Any]]]:
    """Return rows of pixels and a label: scikit-learn's digits, or synthetic ones if it is not installed."""
    try:
        from sklearn.datasets import load_digits  # noqa: PLC0415 - may be missing
    except ImportError:
        draw = random.Random(7)
        ideal = [[draw.randint(0, 16) for _ in range(64)] for _ in range(10)]
        return "synthetic", [[*(p + draw.gauss(0, 2) for p in ideal[i % 10]), i % 10] for i in range(1000)]
    found = load_digits()
    return "scikit-learn's", [
        [*row, label] for row, label in zip(found.data.tolist(), found.target.tolist(), strict=True)
    ]


def long_job(epochs: int) -> Json:
    """Return the spec of the job that the faults interrupt."""
    layers = [{"type": "dense", "units": 64, "activation": "tanh"}, {"type": "dense", "units": 64}]
    return {
        "name": "long",
        "data": {"type": "builtin", "name": "spirals", "rows": 1000},
        "architecture": {"layers": [*layers, {"type": "dense", "units": 1}]},
        "optimizer": {"type": "adam", "learning_rate": 0.001},
        "training": {"epochs": epochs, "batch_size": 32, "seed": 7},
    }


def trains_undisturbed(deployment: Deployment, results: Json) -> str:
    """An undisturbed job gives the weights to compare with."""
    began = time.monotonic()
    deployment.wait_for_success(deployment.post(long_job(100)))
    epochs = max(100, round(100 * LONG_JOB_SECONDS / (time.monotonic() - began)))
    ended = deployment.wait_for_success(deployment.post(long_job(epochs)))
    results["long"], results["weights"] = long_job(epochs), ended["weights_sha256"]
    return f"{epochs} epochs, weights {ended['weights_sha256'][:12]}"


def require_same_weights(deployment: Deployment, results: Json, job: str) -> Json:
    """Wait for the end of an interrupted job; require the undisturbed job's weights, to the last bit."""
    ended = deployment.wait_for_success(job)
    require(
        ended["weights_sha256"] == results["weights"], f"{job}: its weights differ from those of the undisturbed job"
    )
    return ended


def scales(deployment: Deployment, results: Json) -> str:
    """Three workers train three jobs at the same time."""
    deployment.scale_to_three_workers()
    jobs = [deployment.post(results["long"]) for _ in range(3)]
    hosts = until("three jobs train on three hosts", lambda: _three_hosts(deployment, jobs))
    for job in jobs:
        deployment.ask(f"/v1/jobs/{job}/cancel", {})
    return f"three jobs at a time, on {', '.join(sorted(hosts))}"


def _three_hosts(deployment: Deployment, jobs: list[str]) -> set[str] | None:
    workers = [deployment.job(job)["worker"] for job in jobs]
    hosts = {worker.partition(":")[0] for worker in workers if worker}
    return hosts if len(hosts) == 3 else None


def survives_a_killed_worker(deployment: Deployment, results: Json) -> str:
    """A job whose worker is killed is finished by another worker."""
    job = deployment.post(results["long"])
    host = deployment.wait_until_training(job)["worker"].partition(":")[0]
    require(
        any(worker.startswith(host) for worker in deployment.containers("worker")),
        f"{host} is not a worker of this project",
    )
    docker("kill", host)
    began = time.monotonic()
    ended = require_same_weights(deployment, results, job)
    took = time.monotonic() - began
    claims = [change["actor"] for change in ended["transitions"] if change["status"] == "running"]
    require(len(claims) == 2 and not claims[1].startswith(host), f"no other worker claimed the job: {claims}")
    deployment.scale_to_three_workers()
    return f"killed {host}, finished by another worker {took:.1f} s later with the same weights"


def survives_a_restart_of(service: str) -> Callable[[Deployment, Json], str]:
    """Return the step that restarts one service while a job trains."""

    def restarts(deployment: Deployment, results: Json) -> str:
        job = deployment.post(results["long"])
        before = deployment.wait_until_training(job)["progress"]["epoch"]
        began = time.monotonic()
        deployment.compose("restart", service)
        took = time.monotonic() - began
        require(took < 2 * GRACE_SECONDS, f"the restart took {took:.1f} s")
        ended = require_same_weights(deployment, results, job)
        deployment.ready()
        claims = sum(change["status"] == "running" for change in ended["transitions"])
        return f"at epoch {before}, took {took:.1f} s; {claims} × claimed, same weights"

    restarts.__doc__ = f"A restart of {service} while a job trains."
    return restarts


def detects_unhealthy_containers(deployment: Deployment, _: Json) -> str:
    """A worker that hangs and an API without its database become unhealthy, and healthy again afterwards."""
    worker = deployment.containers("worker")[0]
    deployment.compose("stop", "postgres")
    docker("exec", worker, "sh", "-c", f"kill -STOP {CHILD_OF_INIT}")
    began = time.monotonic()
    unhealthy = [*deployment.containers("api"), worker]
    health_format = ("inspect", "--format", "{{.State.Health.Status}}", *unhealthy)
    until("they are unhealthy", lambda: set(docker(*health_format).split()) == {"unhealthy"})
    took = time.monotonic() - began
    docker("exec", worker, "sh", "-c", f"kill -CONT {CHILD_OF_INIT}")
    deployment.compose("start", "postgres")
    deployment.ready()
    return f"detected after {took:.1f} s"


def survives_a_crash_of_everything(deployment: Deployment, results: Json) -> str:
    """All processes crash at once while a job trains; Docker restarts them, and the job resumes."""
    job, before = deployment.post(results["long"]), deployment.restarts()
    deployment.wait_until_training(job)
    crashing = [(container, CRASHES[service]) for service in CRASHES for container in deployment.containers(service)]
    began = time.monotonic()
    for container, crash in crashing:
        docker("exec", "--detach", container, "sh", "-c", crash)

    def all_restarted() -> bool:
        return sum(count > before[name] for name, count in deployment.restarts().items()) == len(crashing)

    until("every container is restarted", all_restarted)
    deployment.ready()
    ready = time.monotonic() - began
    require_same_weights(deployment, results, job)
    took = time.monotonic() - began
    return f"{len(crashing)} containers healthy again after {ready:.1f} s, the job ended after {took:.1f} s"


def ends_while_it_starts(deployment: Deployment, _: Json) -> str:
    """An API and a worker stop promptly even while they start."""
    longest = 0.0
    for service in ("api", "worker"):
        deployment.compose("restart", service)
        began = time.monotonic()
        deployment.compose("stop", service)
        longest = max(longest, time.monotonic() - began)
    require(longest < GRACE_SECONDS / 2, f"stopping took {longest:.1f} s")
    deployment.scale_to_three_workers()
    return f"within {longest:.1f} s"


def requeues_on_stop(deployment: Deployment, results: Json) -> str:
    """All containers stop in time with exit code 0, and the worker requeues its job."""
    job, running = deployment.post(results["long"]), deployment.containers()
    deployment.wait_until_training(job)
    began = time.monotonic()
    deployment.compose("stop")
    took = time.monotonic() - began
    require(took < GRACE_SECONDS, f"stopping took {took:.1f} s")
    codes = docker("inspect", "--format", "{{.State.ExitCode}}", *running).split()
    require(set(codes) == {"0"}, f"exit codes {codes}")
    deployment.scale_to_three_workers()
    ended = require_same_weights(deployment, results, job)
    first, back = ended["transitions"][1:3]
    require(back["status"] == "queued" and back["actor"] == first["actor"], f"not requeued by its own worker: {back}")
    return f"stopped in {took:.1f} s, “{back['message']}”, resumed with the same weights"


STEPS: tuple[Callable[[Deployment, Json], str], ...] = (
    starts,
    is_confined,
    learns_doubling,
    learns_digits,
    trains_undisturbed,
    scales,
    survives_a_killed_worker,
    *(survives_a_restart_of(service) for service in ("redis", "api", "worker", "postgres")),
    detects_unhealthy_containers,
    survives_a_crash_of_everything,
    ends_while_it_starts,
    requeues_on_stop,
    doubles,
)


def take_down(deployment: Deployment) -> None:
    """Remove the project with its volumes."""
    deployment.compose("down", "--volumes", "--remove-orphans", "--timeout", "30", timeout=180)
    left = docker("volume", "ls", "--quiet", "--filter", f"label=com.docker.compose.project={deployment.project}")
    require(not left.strip(), f"volumes remain: {left}")


def raise_timeout(_number: int, _frame: object) -> NoReturn:
    """Handle the alarm by failing the current step."""
    raise StepFailed(f"the whole run took more than {RUN_SECONDS} s")


def main() -> int:
    """Run each step; return the exit code."""
    deployment, results = Deployment(), dict[str, Any]()
    signal.signal(signal.SIGALRM, raise_timeout)
    signal.alarm(RUN_SECONDS)
    print(f"project {deployment.project} on http://127.0.0.1:{deployment.port}", flush=True)
    try:
        for step in STEPS:
            began = time.monotonic()
            print(f"{step.__doc__}", flush=True)
            print(f"    ok, {step(deployment, results)} [{time.monotonic() - began:.0f} s]", flush=True)
    except (Exception, KeyboardInterrupt) as error:  # after any error the deployment is taken down
        print(f"    FAILED: {error}" if isinstance(error, StepFailed) else traceback.format_exc(), flush=True)
        print_logs(deployment)
        return 1
    finally:
        signal.alarm(0)
        take_down(deployment)
    print("taken down; every step passed")
    return 0


def print_logs(deployment: Deployment) -> None:
    """Print the last lines of the containers' logs."""
    try:
        print(deployment.compose("ps", "--all"), deployment.compose("logs", "--tail", "40"), sep="\n", flush=True)
    except StepFailed as error:
        print(error)


if __name__ == "__main__":
    sys.exit(main())
