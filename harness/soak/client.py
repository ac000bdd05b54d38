"""A client of the soak run: posts jobs, cancels, pauses, resumes or watches some of them, and waits for their ends."""

import json
import time
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import httpx

from harness.soak.plan import JOB_SIZES, PlannedJob

JOB_TIMEOUT_SECONDS = 900.0
"""Seconds that a job may take to end."""


@dataclass(frozen=True)
class EndedJob:
    """A job as its client found it at its end; `failure` says what was wrong."""

    size: str
    action: str
    status: str
    weights: str | None
    failure: str = ""


def run_planned(client: httpx.Client, planned: PlannedJob) -> EndedJob:
    """Post the job, perform the planned action and wait for the job's end."""
    spec = JOB_SIZES[planned.size][1] | {"priority": planned.priority}
    posted = request_with_retry(client, "POST", "/v1/jobs", spec)
    if posted.status_code != 201:
        return EndedJob(planned.size, planned.action, "refused", None, posted.text)
    path = f"/v1/jobs/{posted.json()['id']}"
    time.sleep(planned.delay_seconds)
    cancelled = False
    if planned.action == "cancel":
        cancelled = request_with_retry(client, "POST", f"{path}/cancel").status_code == 200
    if planned.action == "pause" and request_with_retry(client, "POST", f"{path}/pause").status_code == 200:
        _resume(client, path)
    sequence_numbers = _read_stream(client, path) if planned.action == "watch" else None
    job = _wait_for_end(client, path)
    failure = _failure(job, cancelled, sequence_numbers)
    return EndedJob(planned.size, planned.action, job["status"], job["weights_sha256"], failure)


def request_with_retry(client: httpx.Client, method: str, path: str, body: Any = None) -> httpx.Response:
    """Return the answer to a request; repeat it while the service is away or busy."""
    until = time.monotonic() + JOB_TIMEOUT_SECONDS
    while True:
        try:
            answer = client.request(method, path, json=body)
            if answer.status_code not in {429, 503} or time.monotonic() > until:
                return answer
        except httpx.TransportError:
            if method == "POST" or time.monotonic() > until:
                raise
        time.sleep(0.5)


def _resume(client: httpx.Client, path: str) -> None:
    """Resume a job as soon as it is paused, unless it has ended."""
    until = time.monotonic() + JOB_TIMEOUT_SECONDS
    while time.monotonic() < until:
        job = request_with_retry(client, "GET", path).json()
        if job["ended_at"] or (
            job["status"] == "paused" and request_with_retry(client, "POST", f"{path}/resume").status_code == 200
        ):
            return
        time.sleep(0.2)


def _read_stream(client: httpx.Client, path: str) -> list[int]:
    """Return the sequence numbers of all events of a job; reconnect when the service ends the stream."""
    sequence_numbers: list[int] = []
    until = time.monotonic() + JOB_TIMEOUT_SECONDS
    while time.monotonic() < until:
        after = sequence_numbers[-1] if sequence_numbers else 0
        with closing(_open_stream(client, f"{path}/events?after={after}")) as answer:
            for line in answer.iter_lines():
                if line:
                    row = json.loads(line)
                    sequence_numbers.append(row["seq"])
                    if row.get("status") in {"succeeded", "failed", "cancelled"}:
                        return sequence_numbers
    return sequence_numbers


def _open_stream(client: httpx.Client, path: str) -> httpx.Response:
    """Open a stream; an interruption after the response headers is an error.

    The server closes idle connections, possibly just when a request is sent on one: then the request is repeated.
    """
    request = client.build_request("GET", path, headers={"Accept": "application/jsonl"})
    try:
        return client.send(request, stream=True)
    except httpx.RemoteProtocolError:
        return client.send(request, stream=True)


def _wait_for_end(client: httpx.Client, path: str) -> dict[str, Any]:
    until = time.monotonic() + JOB_TIMEOUT_SECONDS
    while True:
        job = dict(request_with_retry(client, "GET", path).json())
        if job["ended_at"] or time.monotonic() > until:
            return job
        time.sleep(0.5)


def _failure(job: dict[str, Any], cancelled: bool, sequence_numbers: list[int] | None) -> str:
    allowed = {"succeeded", "cancelled"} if cancelled else {"succeeded"}
    lost_workers = (job["error"] or {}).get("code") == "worker_lost"  # three kills in a row: the job fails as promised
    if job["status"] not in allowed and not lost_workers:
        return f"{job['id']} is {job['status']}: {job['error']}"
    if job["status"] == "succeeded" and job["progress"]["step"] != job["progress"]["steps"]:
        return f"{job['id']} succeeded at step {job['progress']['step']} of {job['progress']['steps']}"
    if sequence_numbers is not None and sequence_numbers != list(range(1, len(sequence_numbers) + 1)):
        return f"{job['id']}: its stream had a gap or a duplicate"
    return ""
