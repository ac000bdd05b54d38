"""Faults of the API, and requests of its clients at bad moments."""

import signal
import time
from collections.abc import Mapping
from functools import partial
from threading import Thread
from types import MappingProxyType

import httpx

from core.jobs.outline import MAX_TEXT_BYTES
from core.jobs.states import Status
from harness.chaos.faults.fault import Fault
from harness.chaos.faults.uploads import train_uploaded, upload
from harness.chaos.networks import NETWORKS
from harness.chaos.rounds import Round


def kill_api_in_post(point: str, r: Round, min_bytes: int = 0) -> None:
    """Kill the API at a fault point of a POST of at least so many bytes, and restart it."""
    r.local.arm(point, signal.SIGKILL)
    started = r.local.api
    assert started is not None

    def restart() -> None:
        started.wait(30)
        r.mark_fault()
        r.local.start_api()

    thread = Thread(target=restart)
    thread.start()
    r.post(min_bytes=min_bytes)
    thread.join()


def kill_api_in_upload(r: Round) -> None:
    """Kill the API in the middle of an upload, or just before its file is complete."""
    if r.rng.random() < 0.5:
        r.local.arm("api before commit", signal.SIGKILL)
    upload(r, broken=True)
    r.kill_api()
    r.local.repair()
    train_uploaded(r)


def kill_api_in_stream(r: Round) -> None:
    """Kill the API while a client reads a stream."""
    r.post()
    r.wait_randomly()
    r.kill_api()
    r.local.repair()


def pause_and_resume(r: Round) -> None:
    """Pause and resume, with killed workers in between."""
    r.post()
    r.mark_fault()
    kills = 0
    for _ in range(r.rng.randint(1, 3)):
        r.wait_randomly(0.4)
        if r.rng.random() < 0.5:
            r.request("pause")
        if r.rng.random() < 0.5:
            r.kill_child()
            kills += 1
            if kills == 3:  # three lost workers without a checkpoint fail the job
                r.allowed_ends["failed"] = "worker_lost"
        if r.rng.random() < 0.5:
            r.until(lambda job: job.status is Status.RUNNING or job.status is Status.PAUSED, "it is running or paused")
        if r.rng.random() < 0.5:
            r.request("resume")
    while r.until(lambda job: job.status is Status.PAUSED, "it is paused or ends").status is Status.PAUSED:
        r.request("resume")


def cancels(r: Round) -> None:
    """Cancel at a random moment, with a killed worker just before or after."""
    keep = r.rng.choice(["best", "last", "none"])
    r.allowed_ends["cancelled"] = None
    r.post()
    r.wait_randomly()
    r.mark_fault()
    order = r.rng.random()
    if order < 0.3:
        r.kill_child()
    r.request(f"cancel?keep={keep}")
    if order > 0.7:
        r.kill_child()


def deletes(r: Round) -> None:
    """Delete a cancelled job, repeating the request until it has ended."""
    r.post()
    own = r.job_id
    other = httpx.post(f"{r.local.url}/v1/jobs", json=dict(NETWORKS[r.network])).json()["id"]
    r.wait_randomly()
    r.mark_fault()
    if r.rng.random() < 0.5:
        r.kill_child()
    httpx.post(f"{r.local.url}/v1/jobs/{other}/cancel", timeout=30)
    until = time.monotonic() + 60
    while (answer := httpx.delete(f"{r.local.url}/v1/jobs/{other}", timeout=30)).status_code == 409:
        if time.monotonic() > until:
            break
    if answer.status_code != 204 or httpx.get(f"{r.local.url}/v1/jobs/{other}").status_code != 404:
        r.violations.append(f"the DELETE of a job was answered with {answer.status_code}")
    r.job_id = own


FAULTS: Mapping[str, Fault] = MappingProxyType(
    {
        "kill-api-inserting": Fault(
            "API killed in a POST, before its commit", partial(kill_api_in_post, "api after insert")
        ),
        "kill-api-inserted": Fault(
            "API killed in a POST, before its answer", partial(kill_api_in_post, "api before notify")
        ),
        "kill-api-spec": Fault(
            "API killed in a POST, between the file of a large spec and its row",
            partial(kill_api_in_post, "api after put", min_bytes=MAX_TEXT_BYTES + 1),
        ),
        "kill-api-upload": Fault("API killed in an upload", kill_api_in_upload),
        "kill-api-stream": Fault("API killed in a stream", kill_api_in_stream),
        "pause-resume": Fault("pause and resume, with killed workers between", pause_and_resume),
        "cancel": Fault("cancel, with a killed worker", cancels),
        "delete": Fault("cancel and delete of another job, with a killed worker", deletes),
    }
)
