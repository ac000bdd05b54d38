"""Clients that fill the disk: rows, specs and datasets without a total."""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import httpx
import numpy as np

from harness.load.attack import Attack, Must, Run, Target, as_bytes
from harness.load.attacks.answers import NPY, npy
from harness.load.client import NO_ANSWER, UNBOUNDED, Answer, together
from harness.load.jobs import inline_spec, spec

NO_ROOM = (429, 507)
MEGABYTE = 2**20
JOB_ROWS = 5_000
"""The setting `max_job_rows` of the service that `fast_rows` attacks."""


def fast_rows(target: Target) -> Run:
    """Post a job that stores a row for each of its small steps, until it has made many more steps than rows."""
    body = as_bytes(spec([], epochs=10_000_000, batch_size=1, log_every=1))

    def run() -> list[Answer]:
        began, posted = time.monotonic(), target.post("/v1/jobs", body)
        with httpx.Client(base_url=target.running.url, timeout=60) as client:
            path = f"/v1/jobs/{client.get('/v1/jobs?limit=1').json()['items'][0]['id']}"
            while time.monotonic() < began + target.extent.seconds:
                if client.get(f"{path}/metrics?limit=1&after={2 * JOB_ROWS}").json()["items"]:
                    return [replace(posted, status=UNBOUNDED)]
                if client.get(path).json()["progress"]["step"] > 4 * JOB_ROWS:
                    return [posted]
                time.sleep(0.2)
        return [replace(posted, status=NO_ANSWER)]

    return run


def until_full(target: Target, post: Callable[[int], Answer], clients: int) -> Run:
    """Return the attack of clients that each post until they are refused or the time is over."""

    def client(first: int) -> Answer:
        began, number, size = time.monotonic(), first, 0
        while True:
            answer, number = post(number), number + clients
            size = max(size, answer.bytes)
            if answer.status not in {200, 201} or time.monotonic() > began + target.extent.seconds:
                return Answer(answer.status, size, time.monotonic() - began)

    return lambda: together([partial(client, number) for number in range(clients)])


def queued_specs(target: Target) -> Run:
    """Queue specs of 16 MB until they are refused."""
    body = inline_spec(target.scaled(400_000))
    return until_full(target, lambda _: target.post("/v1/jobs", body), 4)


def small_jobs(target: Target) -> Run:
    """Queue small jobs until they are refused."""
    body = as_bytes(spec([]) | {"metadata": {f"key {number}": "x" * 500 for number in range(16)}})
    return until_full(target, lambda _: target.post("/v1/jobs", body), 8)


def large_checkpoints(target: Target) -> Run:
    """Queue jobs of 8 million weights, whose checkpoints have 32 MB each, until they are refused."""
    width = max(64, round(2828 * target.extent.scale**0.5))
    body = as_bytes(spec([width, width], epochs=1000))
    return until_full(target, lambda _: target.post("/v1/jobs", body), 2)


def uploads(target: Target) -> Run:
    """Upload different files of 32 MB until they are refused."""
    size = target.scaled(32 * MEGABYTE, 100_000) // 8
    files = [npy(np.full(size, number)) for number in range(2)]

    def post(number: int) -> Answer:
        body = files[number % 2]
        return target.post("/v1/datasets", body[:-8] + number.to_bytes(8, "little"), NPY)

    return until_full(target, post, 2)


def small_datasets(target: Target) -> Run:
    """Upload different small tables until they are refused."""

    def post(number: int) -> Answer:
        return target.post("/v1/datasets", f"a,b\n1,{number}\n2,3\n".encode(), {"Content-Type": "text/csv"})

    return until_full(target, post, 4)


REFUSED = Must(statuses=(201, *NO_ROOM, 503), refused=NO_ROOM, growth=400)
TOTALS = (
    Attack("a job that stores rows as fast as it can", fast_rows, Must(statuses=(201,)), {"max_job_rows": JOB_ROWS}),
    Attack(
        "queued specs of 16 MB, 4 clients",
        queued_specs,
        replace(REFUSED, answer_bytes=20e6),
        {"max_queued_spec_bytes": 48 * MEGABYTE},
    ),
    Attack("queued small jobs, 8 clients", small_jobs, REFUSED, {"max_queued": 500}),
    Attack("queued jobs of 8 million weights", large_checkpoints, REFUSED, {"max_checkpoint_bytes": 512 * MEGABYTE}),
    Attack("small datasets, 4 clients", small_datasets, REFUSED, {"max_datasets": 50}),
    Attack("uploads of 32 MB, 2 clients", uploads, REFUSED, {"max_dataset_bytes": 256 * MEGABYTE}),
)
