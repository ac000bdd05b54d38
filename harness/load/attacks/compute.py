"""Requests that compute for long, from many clients at once."""

import time
from dataclasses import replace
from functools import partial

from harness.load.attack import Attack, Must, Run, Target, as_bytes
from harness.load.client import JSON, NO_ANSWER, Answer, connect, post_head, request, together
from harness.load.jobs import inline_spec, large_model

BUSY = Must(statuses=(200, 503, NO_ANSWER), answer_bytes=2e6, growth=600, kept=300)
"""Requests are computed or refused, or wait until the client gives up. The processes that compute keep some memory."""


def post_together(target: Target, path: str, body: bytes, clients: int) -> Run:
    """Return the attack of this many clients that post the same."""
    return lambda: together([partial(target.post, path, body)] * clients)


def many_predictions(target: Target) -> Run:
    """Let 64 clients predict 1,500 rows each with 8 million weights."""
    job = large_model(target)
    body = as_bytes({"instances": [[0.1, 0.2]] * 1500})
    return post_together(target, f"/v1/jobs/{job}/predictions", body, target.scaled(64, 4))


def clients_that_leave(target: Target) -> Run:
    """Let 64 clients post such predictions and leave at once; predict one row after that."""
    job = large_model(target)
    path, body = f"/v1/jobs/{job}/predictions", as_bytes({"instances": [[0.1, 0.2]] * 1500})
    sent = post_head(path, "application/json", f"Content-Length: {len(body)}") + body

    def leave() -> list[Answer]:
        connections = [connect(target.port, sent, seconds=5) for _ in range(target.scaled(64, 4))]
        time.sleep(min(1.0, target.extent.least_seconds))
        for connection in connections:
            connection.close()
        return [retried(target, path, as_bytes({"instances": [[0.1, 0.2]]}))]

    return leave


def retried(target: Target, path: str, body: bytes) -> Answer:
    """Post until the answer is no longer 503; its seconds are those of all attempts."""
    began = time.monotonic()
    while True:
        answer = request(target.port, "POST", path, body, JSON, seconds=target.extent.seconds)
        took = time.monotonic() - began
        if answer.status != 503 or took > target.extent.seconds:
            return replace(answer, seconds=took)
        time.sleep(0.1)


def gradient_checks(target: Target) -> Run:
    """Let 32 clients check the gradient of 8 million weights."""
    job = large_model(target)
    body = as_bytes({"instances": [[0.1, 0.2]] * 100, "targets": ["blue", "orange"] * 50})
    return post_together(target, f"/v1/jobs/{job}/check_gradient", body, target.scaled(32, 4))


def inspections(target: Target) -> Run:
    """Let 32 clients inspect a step of 8 million weights."""
    job = large_model(target)
    body = as_bytes({"instances": [[0.1, 0.2]] * 500, "targets": ["blue", "orange"] * 250})
    return post_together(target, f"/v1/jobs/{job}/inspect", body, target.scaled(32, 4))


def validations(target: Target) -> Run:
    """Let 32 clients validate jobs of 8 MB of inline data."""
    return post_together(target, "/v1/jobs/validate", inline_spec(target.scaled(200_000)), target.scaled(32, 4))


COMPUTE = (
    Attack("64 clients, 1,500 rows each, 8 million weights", many_predictions, BUSY),
    Attack("64 such clients that leave", clients_that_leave, replace(BUSY, statuses=(200,), seconds=5)),
    Attack(
        "32 gradient checks of 8 million weights", gradient_checks, replace(BUSY, statuses=(200, 422, 503, NO_ANSWER))
    ),
    Attack("32 inspections of 8 million weights", inspections, BUSY),
    Attack("32 validations of 8 MB of rows", validations, BUSY),
)
