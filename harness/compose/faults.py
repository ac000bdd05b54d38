"""The steps of the compose test that inject faults while a job trains, and compare its weights."""

import time
from collections.abc import Callable

from harness.compose.project import Deployment, Json, docker, require, until

GRACE_SECONDS = 30.0  # seconds that docker-compose.yml gives a worker and an API to stop
CHILD_OF_INIT = "$(cat /proc/1/task/1/children)"  # the process that a container's init runs
CRASHES = {  # process 1 cannot be killed from inside its container: without an init it is sent a softer signal
    "postgres": "kill -QUIT 1",
    "redis": "kill -TERM 1",
    "api": f"kill -KILL {CHILD_OF_INIT}",
    "worker": f"kill -KILL {CHILD_OF_INIT}",
}


def require_same_weights(deployment: Deployment, results: Json, job: str) -> Json:
    """Wait for the end of an interrupted job; require the undisturbed job's weights, to the last bit."""
    ended = deployment.wait_for_success(job)
    require(
        ended["weights_sha256"] == results["weights"], f"{job}: its weights differ from those of the undisturbed job"
    )
    return ended


def survives_a_killed_worker(deployment: Deployment, results: Json) -> str:
    """Check that another worker finishes the job of a killed worker."""
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
    """Check that a hanging worker and an API without a database become unhealthy, then healthy again."""
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
    """Check that a job resumes after all processes crash at once and Docker restarts them."""
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
    """Check that an API and a worker stop promptly even while they start."""
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
    """Check that all containers stop in time with exit code 0 and the worker requeues its job."""
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
