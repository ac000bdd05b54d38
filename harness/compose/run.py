#!/usr/bin/env python3
"""Brings the compose deployment up, has it learn, hurts it while it does, and takes it down again.

Needs Docker with Compose, and nothing else; digits come from scikit-learn where it is installed. Exits with 0 if every
step held. It has a project name, volumes and a port of its own, so it may run beside a deployment that is in use.
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
WHOLE_RUN = 2400  # seconds until it gives up, whatever it waits for
GRACE = 30.0  # seconds that docker-compose.yml gives a worker and an API to stop in
LARGEST_IMAGE = 400e6  # bytes
TRAINING = 12.0  # seconds that the job which is disturbed trains when it is not
ITS_PROCESS = "$(cat /proc/1/task/1/children)"  # what the init of an API's or a worker's container runs
CRASHES = {  # a container's first process can't be killed from inside, so those without an init are asked to end
    "postgres": "kill -QUIT 1",
    "redis": "kill -TERM 1",
    "api": f"kill -KILL {ITS_PROCESS}",
    "worker": f"kill -KILL {ITS_PROCESS}",
}

TABLE = {
    "name": "digits",
    "architecture": {"layers": [{"type": "dense", "units": 64, "activation": "relu"}, {"type": "dense", "units": 10}]},
    "optimizer": {"type": "adam", "learning_rate": 0.002},
    "training": {"epochs": 20, "batch_size": 32, "seed": 7},
}

Json = dict[str, Any]


class Broken(Exception):
    """What should have held did not."""


def hold(condition: object, otherwise: str) -> None:
    """Raise `Broken` unless the condition is true."""
    if not condition:
        raise Broken(otherwise)


@dataclass
class Deployment:
    """One project of this compose file, and the way to talk to it."""

    project: str = field(default_factory=lambda: f"chainrule-try-{secrets.token_hex(3)}")
    port: int = field(default_factory=lambda: free_port())  # noqa: PLW0108 - it is defined below

    def compose(self, *arguments: str, timeout: float = 300) -> str:
        """The output of a compose command; raises `Broken` where it fails."""
        return docker("compose", "--project-name", self.project, *arguments, port=self.port, timeout=timeout)

    def containers(self, service: str = "", *, ended: bool = False) -> list[str]:
        """Ids of a service's containers (of all without one), and those that have ended where they are asked for."""
        return self.compose("ps", "--quiet", *(["--all"] if ended else []), *([service] if service else [])).split()

    def ask(self, path: str, body: object = None, *, content_type: str = "application/json") -> Json:
        """The JSON answer to a GET, or to a POST where there is a body. Raises `OSError` for anything but success."""
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode() if body is not None else None
        request = Request(f"http://127.0.0.1:{self.port}{path}", data=data)
        request.add_header("Content-Type", content_type)
        try:
            with build_opener(ProxyHandler({})).open(request, timeout=20) as answer:
                return dict(json.load(answer))
        except HTTPError as error:
            raise OSError(f"{path}: {error.code} {error.read().decode(errors='replace')[:500]}") from None

    def post(self, spec: Json) -> str:
        """The id of a new job."""
        return str(self.ask("/v1/jobs", spec)["id"])

    def job(self, job: str) -> Json:
        """The job as it is now."""
        return self.ask(f"/v1/jobs/{job}")

    def ready(self) -> None:
        """Wait until the API says so, and every container with a check is healthy."""
        until("the service is ready", lambda: self.ask("/health/ready")["status"] == "ready")
        until("all containers are healthy", lambda: set(self.health().values()) == {"healthy"})

    def health(self) -> dict[str, str]:
        """What the checks say of each running container."""
        told = "{{.Name}} {{if .State.Health}}{{.State.Health.Status}}{{else}}unchecked{{end}}"
        lines = docker("inspect", "--format", told, *self.containers()).split("\n")
        return {name: state for name, _, state in (line.partition(" ") for line in lines if line)}

    def restarts(self) -> dict[str, int]:
        """How often Docker itself has started each container again."""
        lines = docker("inspect", "--format", "{{.Name}} {{.RestartCount}}", *self.containers(ended=True)).splitlines()
        return {name: int(count) for name, _, count in (line.partition(" ") for line in lines)}

    def scaled(self) -> None:
        """Have three workers, and whatever else is not there; what runs is left alone."""
        self.compose("up", "--detach", "--no-recreate", "--scale", "worker=3")
        self.ready()

    def trains(self, job: str) -> Json:
        """Wait until this job has learned for a while, and give it as it is then."""
        now: Json = until("the job trains", lambda: (now := self.job(job))["progress"]["epoch"] >= 5 and now)
        hold(now["status"] == "running", f"the job is {now['status']} already: nothing can be done to it any more")
        return now

    def succeeds(self, job: str, seconds: float = 300) -> Json:
        """Wait until this job has succeeded; a failed one is not waited for."""
        ended: Json = until(
            "the job ends", lambda: (now := self.job(job))["status"] in {"succeeded", "failed"} and now, seconds
        )
        hold(ended["status"] == "succeeded", f"the job failed: {ended['error']}")
        return ended


def docker(*arguments: str, port: int = 0, timeout: float = 120) -> str:
    """The output of a docker command, run where the compose file is."""
    environment = os.environ | {"CHAINRULE_PORT": str(port)}
    try:
        done = subprocess.run(
            ["docker", *arguments],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Broken(f"docker {' '.join(arguments)}: still running after {timeout:g} s") from None
    hold(done.returncode == 0, f"docker {' '.join(arguments)}: exit code {done.returncode}\n{done.stderr[-3000:]}")
    return done.stdout


def free_port() -> int:
    """A port of this machine that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(what: str, ask: Callable[[], Any], seconds: float = 180) -> Any:
    """The first true answer. A service that is away meanwhile is asked again; raises `Broken` after `seconds`."""
    deadline, last = time.monotonic() + seconds, "the answer was no"
    while time.monotonic() < deadline:
        try:
            if answer := ask():
                return answer
        except OSError as error:
            last = str(error)
        time.sleep(0.2)
    raise Broken(f"waited {seconds:g} s, and not yet: {what} ({last})")


def starts(it: Deployment, _: Json) -> str:
    """`docker compose up` gives a service that is ready."""
    it.compose("build", "--quiet", timeout=600)
    began = time.monotonic()
    it.compose("up", "--detach", timeout=300)
    until("the service is ready", lambda: it.ask("/health/ready")["status"] == "ready")
    ready = time.monotonic() - began
    it.ready()
    return f"ready after {ready:.1f} s"


def is_confined(it: Deployment, _: Json) -> str:
    """No container may do or reach more than it needs, and the image holds no more than it needs."""
    for one in json.loads(docker("inspect", *it.containers(ended=True))):
        host, name = one["HostConfig"], one["Name"]
        hold(host["ReadonlyRootfs"], f"{name}: its root file system can be written")
        hold(host["CapDrop"] == ["ALL"] and not host["CapAdd"], f"{name}: has capabilities")
        hold("no-new-privileges:true" in host["SecurityOpt"], f"{name}: may gain privileges")
        hold(one["Config"]["User"] not in {"", "0", "root"}, f"{name}: runs as root")
        hold(host["Memory"] and host["PidsLimit"], f"{name}: has no limits")
        once = one["Config"]["Labels"]["com.docker.compose.service"] in {"secrets", "migrate"}
        hold(host["RestartPolicy"]["Name"] == ("no" if once else "unless-stopped"), f"{name}: restarts otherwise")
        hold(host["LogConfig"]["Config"].get("max-size"), f"{name}: its log grows for ever")
        published = [bound for ports in one["NetworkSettings"]["Ports"].values() for bound in ports or []]
        hold({bound["HostIp"] for bound in published} <= {"127.0.0.1"}, f"{name}: is reached from outside")
        environment = dict(variable.split("=", 1) for variable in one["Config"]["Env"])
        hold("postgresql://" not in str(environment), f"{name}: the password is in its environment")
        threads = int(environment.get("OPENBLAS_NUM_THREADS", 0))
        hold(not threads or host["NanoCpus"] == threads * 1e9, f"{name}: has another number of cores than threads")
    tools = it.compose("exec", "-T", "api", "sh", "-c", "command -v gcc cc g++ make uv git curl wget; true").split()
    hold(not tools, f"the image holds {tools}")
    size = int(docker("image", "inspect", "--format", "{{.Size}}", "chainrule:local"))
    hold(size < LARGEST_IMAGE, f"the image has {size / 1e6:.0f} MB")
    return f"image of {size / 1e6:.0f} MB"


def learns_doubling(it: Deployment, seen: Json) -> str:
    """Y = 2x."""
    job = it.post(it.ask("/openapi.json")["components"]["schemas"]["JobSpec"]["example"])
    it.succeeds(job)
    seen["doubling"] = job
    return doubles(it, seen)


def doubles(it: Deployment, seen: Json) -> str:
    """What was learned first is still known after all that happened."""
    answer = it.ask(f"/v1/jobs/{seen['doubling']}/predictions", {"instances": [[6]]})["predictions"][0]["value"]
    hold(abs(answer - 12) < 0.005, f"6 → {answer}")
    return f"6 → {answer:.2f}"


def learns_digits(it: Deployment, _: Json) -> str:
    """Digits, uploaded as CSV."""
    name, rows = pictures()
    header = [*(f"pixel_{place}" for place in range(len(rows[0]) - 1)), "digit"]
    table = "".join(",".join(map(str, row)) + "\n" for row in [header, *rows])
    types = "%7B%22digit%22%3A%22category%22%7D"
    dataset = it.ask(f"/v1/datasets?name=digits&types={types}", table, content_type="text/csv")
    held = {"fraction": 0.2, "stratify": True}
    data = {"type": "dataset", "id": dataset["id"], "target": "digit", "validation": held}
    accuracy = it.succeeds(it.post(TABLE | {"data": data}))["latest"]["val_accuracy"]
    hold(accuracy > 0.93, f"only {accuracy:.1%} of the held-out digits are right")
    return f"{accuracy:.1%} of the held-out digits right ({name})"


def pictures() -> tuple[str, list[list[Any]]]:
    """Scikit-learn's digits, or made-up ones where it is missing: pixels and a label in each row."""
    try:
        from sklearn.datasets import load_digits  # noqa: PLC0415 - may be missing
    except ImportError:
        draw = random.Random(7)
        ideal = [[draw.randint(0, 16) for _ in range(64)] for _ in range(10)]
        return "made up", [[*(p + draw.gauss(0, 2) for p in ideal[i % 10]), i % 10] for i in range(1000)]
    found = load_digits()
    return "scikit-learn's", [
        [*row, label] for row, label in zip(found.data.tolist(), found.target.tolist(), strict=True)
    ]


def long_job(epochs: int) -> Json:
    """The job that is disturbed later."""
    layers = [{"type": "dense", "units": 64, "activation": "tanh"}, {"type": "dense", "units": 64}]
    return {
        "name": "long",
        "data": {"type": "builtin", "name": "spirals", "rows": 1000},
        "architecture": {"layers": [*layers, {"type": "dense", "units": 1}]},
        "optimizer": {"type": "adam", "learning_rate": 0.001},
        "training": {"epochs": epochs, "batch_size": 32, "seed": 7},
    }


def knows_the_undisturbed(it: Deployment, seen: Json) -> str:
    """A job's weights when nothing happens to it, to compare with."""
    began = time.monotonic()
    it.succeeds(it.post(long_job(100)))
    epochs = max(100, round(100 * TRAINING / (time.monotonic() - began)))
    ended = it.succeeds(it.post(long_job(epochs)))
    seen["long"], seen["weights"] = long_job(epochs), ended["weights_sha256"]
    return f"{epochs} epochs, weights {ended['weights_sha256'][:12]}"


def same(it: Deployment, seen: Json, job: str) -> Json:
    """Wait for the end of a job that was disturbed: its weights are the undisturbed one's, to the last bit."""
    ended = it.succeeds(job)
    hold(ended["weights_sha256"] == seen["weights"], f"{job}: other weights than without the disturbance")
    return ended


def scales(it: Deployment, seen: Json) -> str:
    """Three workers train three jobs at the same time."""
    it.scaled()
    jobs = [it.post(seen["long"]) for _ in range(3)]
    places = until("three jobs train in three places", lambda: _three_places(it, jobs))
    for job in jobs:
        it.ask(f"/v1/jobs/{job}/cancel", {})
    return f"three jobs at a time, in {', '.join(sorted(places))}"


def _three_places(it: Deployment, jobs: list[str]) -> set[str] | None:
    workers = [it.job(job)["worker"] for job in jobs]
    places = {worker.partition(":")[0] for worker in workers if worker}
    return places if len(places) == 3 else None


def survives_a_killed_worker(it: Deployment, seen: Json) -> str:
    """A worker that is killed in the middle of a job costs the job nothing but time."""
    job = it.post(seen["long"])
    host = it.trains(job)["worker"].partition(":")[0]
    hold(any(worker.startswith(host) for worker in it.containers("worker")), f"{host} is no worker of this project")
    docker("kill", host)
    began = time.monotonic()
    ended = same(it, seen, job)
    took = time.monotonic() - began
    claims = [change["actor"] for change in ended["transitions"] if change["status"] == "running"]
    hold(len(claims) == 2 and not claims[1].startswith(host), f"no other worker took it: {claims}")
    it.scaled()
    return f"killed {host}, ended elsewhere {took:.1f} s later with the same weights"


def survives_a_restart_of(service: str) -> Callable[[Deployment, Json], str]:
    """The step that restarts one service while a job trains."""

    def restarts(it: Deployment, seen: Json) -> str:
        job = it.post(seen["long"])
        before = it.trains(job)["progress"]["epoch"]
        began = time.monotonic()
        it.compose("restart", service)
        took = time.monotonic() - began
        hold(took < 2 * GRACE, f"the restart took {took:.1f} s")
        ended = same(it, seen, job)
        it.ready()
        claims = sum(change["status"] == "running" for change in ended["transitions"])
        return f"at epoch {before}, took {took:.1f} s; {claims} × claimed, same weights"

    restarts.__doc__ = f"A restart of {service} while a job trains."
    return restarts


def is_known_to_be_ill(it: Deployment, _: Json) -> str:
    """A worker that hangs and an API without its database are unhealthy, and healthy when that is over."""
    worker = it.containers("worker")[0]
    it.compose("stop", "postgres")
    docker("exec", worker, "sh", "-c", f"kill -STOP {ITS_PROCESS}")
    began = time.monotonic()
    ill = [*it.containers("api"), worker]
    told = ("inspect", "--format", "{{.State.Health.Status}}", *ill)
    until("they are unhealthy", lambda: set(docker(*told).split()) == {"unhealthy"})
    took = time.monotonic() - began
    docker("exec", worker, "sh", "-c", f"kill -CONT {ITS_PROCESS}")
    it.compose("start", "postgres")
    it.ready()
    return f"known after {took:.1f} s"


def survives_a_crash_of_everything(it: Deployment, seen: Json) -> str:
    """Every process dies at once while a job trains: Docker starts them all again, and the job goes on."""
    job, before = it.post(seen["long"]), it.restarts()
    it.trains(job)
    crashing = [(container, CRASHES[service]) for service in CRASHES for container in it.containers(service)]
    began = time.monotonic()
    for container, crash in crashing:
        docker("exec", "--detach", container, "sh", "-c", crash)

    def all_again() -> bool:
        return sum(count > before[name] for name, count in it.restarts().items()) == len(crashing)

    until("every container was started again", all_again)
    it.ready()
    ready = time.monotonic() - began
    same(it, seen, job)
    took = time.monotonic() - began
    return f"{len(crashing)} containers healthy again after {ready:.1f} s, the job ended after {took:.1f} s"


def ends_while_it_starts(it: Deployment, _: Json) -> str:
    """An API and a worker that still start end as soon as they are told to."""
    longest = 0.0
    for service in ("api", "worker"):
        it.compose("restart", service)
        began = time.monotonic()
        it.compose("stop", service)
        longest = max(longest, time.monotonic() - began)
    hold(longest < GRACE / 2, f"stopping took {longest:.1f} s")
    it.scaled()
    return f"within {longest:.1f} s"


def hands_back(it: Deployment, seen: Json) -> str:
    """Everything is stopped: it ends in time, with 0, and the job was given back by its own worker."""
    job, running = it.post(seen["long"]), it.containers()
    it.trains(job)
    began = time.monotonic()
    it.compose("stop")
    took = time.monotonic() - began
    hold(took < GRACE, f"stopping took {took:.1f} s")
    codes = docker("inspect", "--format", "{{.State.ExitCode}}", *running).split()
    hold(set(codes) == {"0"}, f"exit codes {codes}")
    it.scaled()
    ended = same(it, seen, job)
    first, back = ended["transitions"][1:3]
    hold(back["status"] == "queued" and back["actor"] == first["actor"], f"not given back by its own worker: {back}")
    return f"stopped in {took:.1f} s, “{back['message']}”, went on with the same weights"


STEPS: tuple[Callable[[Deployment, Json], str], ...] = (
    starts,
    is_confined,
    learns_doubling,
    learns_digits,
    knows_the_undisturbed,
    scales,
    survives_a_killed_worker,
    *(survives_a_restart_of(service) for service in ("redis", "api", "worker", "postgres")),
    is_known_to_be_ill,
    survives_a_crash_of_everything,
    ends_while_it_starts,
    hands_back,
    doubles,
)


def take_down(it: Deployment) -> None:
    """Leave nothing behind."""
    it.compose("down", "--volumes", "--remove-orphans", "--timeout", "30", timeout=180)
    left = docker("volume", "ls", "--quiet", "--filter", f"label=com.docker.compose.project={it.project}")
    hold(not left.strip(), f"volumes are left: {left}")


def out_of_time(_number: int, _frame: object) -> NoReturn:
    """Ends a step that hangs."""
    raise Broken(f"the whole run took more than {WHOLE_RUN} s")


def main() -> int:
    """Run each step; returns the exit code."""
    it, seen = Deployment(), dict[str, Any]()
    signal.signal(signal.SIGALRM, out_of_time)
    signal.alarm(WHOLE_RUN)
    print(f"project {it.project} on http://127.0.0.1:{it.port}", flush=True)
    try:
        for step in STEPS:
            began = time.monotonic()
            print(f"{step.__doc__}", flush=True)
            print(f"    ok, {step(it, seen)} [{time.monotonic() - began:.0f} s]", flush=True)
    except (Exception, KeyboardInterrupt) as error:  # whatever it is, the deployment is taken down
        print(f"    FAILED: {error}" if isinstance(error, Broken) else traceback.format_exc(), flush=True)
        _last_words(it)
        return 1
    finally:
        signal.alarm(0)
        take_down(it)
    print("taken down; every step held")
    return 0


def _last_words(it: Deployment) -> None:
    """What the containers said last."""
    try:
        print(it.compose("ps", "--all"), it.compose("logs", "--tail", "40"), sep="\n", flush=True)
    except Broken as error:
        print(error)


if __name__ == "__main__":
    sys.exit(main())
