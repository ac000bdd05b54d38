"""What a client of a soak does: posts its jobs, cancels, pauses, resumes and watches some, and sees each to its end."""

import json
import time
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import httpx

from harness.soak.plan import SIZES, Errand

PATIENCE = 900.0
"""Seconds that a job may take to end."""


@dataclass(frozen=True)
class Ended:
    """A job as its client found it at its end; `wrong` says what should not be."""

    size: str
    wish: str
    status: str
    weights: str | None
    wrong: str = ""


def serve_errand(client: httpx.Client, errand: Errand) -> Ended:
    """Post the job, do what is wished, wait for its end. What is refused for a busy database is asked again."""
    posted = asked(client, "POST", "/v1/jobs", SIZES[errand.size][1] | {"priority": errand.priority})
    if posted.status_code != 201:
        return Ended(errand.size, errand.wish, "refused", None, posted.text)
    path = f"/v1/jobs/{posted.json()['id']}"
    time.sleep(errand.later)
    cancelled = False
    if errand.wish == "cancel":
        cancelled = asked(client, "POST", f"{path}/cancel").status_code == 200
    if errand.wish == "pause" and asked(client, "POST", f"{path}/pause").status_code == 200:
        _resume(client, path)
    seen = _watched(client, path) if errand.wish == "watch" else None
    job = _end(client, path)
    return Ended(errand.size, errand.wish, job["status"], job["weights_sha256"], _wrong(job, cancelled, seen))


def asked(client: httpx.Client, method: str, path: str, body: Any = None) -> httpx.Response:
    """The answer; while the service says that it is away or busy, asked again."""
    until = time.monotonic() + PATIENCE
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
    """Resume it as soon as it is paused, unless it ended before."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        job = asked(client, "GET", path).json()
        if job["ended_at"] or (
            job["status"] == "paused" and asked(client, "POST", f"{path}/resume").status_code == 200
        ):
            return
        time.sleep(0.2)


def _watched(client: httpx.Client, path: str) -> list[int]:
    """The numbers of all its events, as the stream tells them; it goes on where the service ended the stream."""
    seen: list[int] = []
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        after = seen[-1] if seen else 0
        with closing(_opened(client, f"{path}/events?after={after}")) as answer:
            for line in answer.iter_lines():
                if line:
                    row = json.loads(line)
                    seen.append(row["seq"])
                    if row.get("status") in {"succeeded", "failed", "cancelled"}:
                        return seen
    return seen


def _opened(client: httpx.Client, path: str) -> httpx.Response:
    """A stream whose head has come; one that breaks later is an error.

    The server closes a connection that was idle for a while, and that may be just when a request goes out on it.
    """
    request = client.build_request("GET", path, headers={"Accept": "application/jsonl"})
    try:
        return client.send(request, stream=True)
    except httpx.RemoteProtocolError:
        return client.send(request, stream=True)


def _end(client: httpx.Client, path: str) -> dict[str, Any]:
    until = time.monotonic() + PATIENCE
    while True:
        job = dict(asked(client, "GET", path).json())
        if job["ended_at"] or time.monotonic() > until:
            return job
        time.sleep(0.5)


def _wrong(job: dict[str, Any], cancelled: bool, seen: list[int] | None) -> str:
    right = {"succeeded", "cancelled"} if cancelled else {"succeeded"}
    poisonous = (job["error"] or {}).get("code") == "worker_lost"  # three kills in a row found it: a promised end
    if job["status"] not in right and not poisonous:
        return f"{job['id']} is {job['status']}: {job['error']}"
    if job["status"] == "succeeded" and job["progress"]["step"] != job["progress"]["steps"]:
        return f"{job['id']} succeeded at step {job['progress']['step']} of {job['progress']['steps']}"
    if seen is not None and seen != list(range(1, len(seen) + 1)):
        return f"{job['id']}: its stream had a gap or a double"
    return ""
