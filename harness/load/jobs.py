"""The jobs of the load test: the one that trains beside all attacks, and those whose models are attacked."""

import json
import time
from typing import Any

import httpx

from harness.load.attack import Target
from harness.processes import Processes

Json = dict[str, Any]

TRAIN_SECONDS = 60.0
"""Seconds that the training of an attacked model may take."""


def spec(units: list[int], *, outputs: int = 1, rows: int = 64, epochs: int = 1, **training: Any) -> Json:
    """Return a job on spirals with these hidden layers."""
    layers = [{"type": "dense", "units": count, "activation": "relu"} for count in units]
    return {
        "data": {"type": "builtin", "name": "spirals", "rows": rows},
        "architecture": {"layers": [*layers, {"type": "dense", "units": outputs}]},
        "optimizer": {"type": "sgd", "learning_rate": 0.001},
        "training": {"epochs": epochs, "batch_size": 64, "seed": 7} | training,
    }


BYSTANDER = spec([64, 64], rows=4000, epochs=1_000_000)
"""The job that trains beside all attacks: some events a second, for longer than any attack."""


def inline_spec(rows: int) -> bytes:
    """Return a job on so many inline rows as JSON, about 40 bytes a row: few numbers, each of many digits."""
    x, y = ",".join([f"[{0.5:.30f}]"] * rows), ",".join(["0.25"] * rows)
    placeholder = spec([]) | {"data": {}}
    data = f'"data":{{"type":"inline","x":[{x}],"y":[{y}]}}'
    return json.dumps(placeholder, separators=(",", ":")).replace('"data":{}', data).encode()


def start_bystander(running: Processes) -> str:
    """Post the job that trains beside the attack; return its id when it trains."""
    with httpx.Client(base_url=running.url, timeout=60) as client:
        job = str(client.post("/v1/jobs", json=BYSTANDER).raise_for_status().json()["id"])
        running.until(lambda: client.get(f"/v1/jobs/{job}").json()["progress"]["epoch"] >= 1, "the job trains")
    return job


def trained(target: Target, body: bytes) -> str | None:
    """Train a job to its end and return its id; None if the service refuses it."""
    with httpx.Client(base_url=target.running.url, timeout=TRAIN_SECONDS) as client:
        answer = client.post("/v1/jobs", content=body, headers={"Content-Type": "application/json"})
        if answer.status_code == 422:
            return None
        job = str(answer.raise_for_status().json()["id"])
        deadline = time.monotonic() + TRAIN_SECONDS
        while (now := client.get(f"/v1/jobs/{job}?").json())["ended_at"] is None:
            if time.monotonic() > deadline:
                raise AssertionError(f"{job} is still {now['status']}\n{target.running.output()}")
            time.sleep(0.05)
        if now["status"] != "succeeded":
            raise AssertionError(json.dumps(now["error"]))
    return job


def large_model(target: Target) -> str | None:
    """Train one step of a network of 8 million weights (fewer at a smaller scale)."""
    width = max(64, round(2828 * target.extent.scale**0.5))
    return trained(target, json.dumps(spec([width, width])).encode())
