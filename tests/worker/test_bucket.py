"""API and worker on machines without a shared folder: files go through a bucket, which may be away."""

import dataclasses
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.blobs.bucket import RECENT_SECONDS
from harness.backends import redis_database
from harness.buckets import URL, bucket_server
from harness.chaos.proxy import Proxy, State
from harness.processes import Processes, processes
from tests.worker.jobs import LONG, SPIRALS, a_spec

CSV = "a,b,c\n" + "".join(f"{i},{i % 7},{2 * i + i % 7}\n" for i in range(200))
LINE: dict[str, Any] = {
    "architecture": {"layers": [{"type": "dense", "units": 1}]},
    "loss": {"type": "mean_squared_error"},
    "optimizer": {"type": "adam", "learning_rate": 0.01},
}


@dataclasses.dataclass(frozen=True)
class TwoMachines:
    """An API on one machine, a worker to start on another, and a proxy before their bucket."""

    api: Processes
    worker: Processes
    network: Proxy

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        return httpx.request(method, f"{self.api.url}/v1{path}", timeout=60, **options)

    def job(self, job_id: str) -> dict[str, Any]:
        return dict(self.ask("GET", f"/jobs/{job_id}").json())

    def post(self, spec: dict[str, Any]) -> str:
        answer = self.ask("POST", "/jobs", json=spec)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def until(self, job_id: str, status: str) -> dict[str, Any]:
        self.api.until(lambda: self.job(job_id)["status"] == status, f"the job is {status}")
        return self.job(job_id)


@pytest.fixture
def machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TwoMachines]:
    with ExitStack() as stack:
        server = stack.enter_context(bucket_server())
        network = stack.enter_context(closing(Proxy(server.port)))
        for name, value in server.environment(network.port).items():
            monkeypatch.setenv(name, value)
        shared = {
            "database_url": f"sqlite:///{tmp_path}/chainrule.db",
            "broker_url": stack.enter_context(redis_database()),
            "blobs_url": URL,
        }
        api = stack.enter_context(machine(tmp_path / "one", shared))
        worker = stack.enter_context(machine(tmp_path / "other", shared))
        api.start_api()
        yield TwoMachines(api, worker, network)


@contextmanager
def machine(folder: Path, shared: dict[str, str]) -> Iterator[Processes]:
    folder.mkdir()
    with processes(folder, **shared) as running:
        yield running


def test_dataset_and_weights_travel_through_the_bucket(machines: TwoMachines) -> None:
    machines.worker.start_worker()
    dataset = machines.ask("POST", "/datasets", content=CSV, headers={"Content-Type": "text/csv"}).json()["id"]
    job = machines.post(LINE | {"data": {"type": "dataset", "id": dataset, "target": "c"}, "training": {"epochs": 3}})
    machines.until(job, "succeeded")
    answer = machines.ask("POST", f"/jobs/{job}/predictions", json={"instances": [{"a": 1, "b": 2}]})
    assert answer.status_code == 200, answer.text
    assert machines.ask("GET", f"/datasets/{dataset}/rows?limit=1").json()["items"] == [{"a": 0, "b": 0, "c": 0}]


def test_training_waits_and_requests_fail_while_the_bucket_is_away(machines: TwoMachines) -> None:
    machines.worker.start_worker()
    job = machines.post(a_spec(SPIRALS, epochs=LONG))
    machines.until(job, "running")
    machines.network.set(State.CUT)
    assert machines.ask("POST", f"/jobs/{job}/pause").status_code == 200
    refused = machines.ask("POST", "/datasets", content=CSV, headers={"Content-Type": "text/csv"})
    assert (refused.status_code, refused.json()["code"]) == (503, "storage_away"), refused.text
    assert refused.headers["Retry-After"]
    assert "127.0.0.1" not in refused.text
    machines.network.open()
    machines.until(job, "paused")
    assert machines.ask("GET", f"/jobs/{job}/checkpoints").json()["items"]
    assert machines.ask("POST", f"/jobs/{job}/predictions", json={"instances": [[0.1, 0.2]]}).status_code == 200


def test_worker_removes_unnamed_files_from_the_bucket(tmp_path: Path) -> None:
    old, young = (tmp_path / "bucket" / hashlib.sha256(name).hexdigest() / "put" for name in (b"old", b"young"))
    for path in (old, young):
        path.parent.mkdir(parents=True)
        path.write_bytes(path.name.encode())
    os.utime(old, (time.time() - 2 * RECENT_SECONDS,) * 2)
    with machine(tmp_path / "one", {"blobs_url": f"file://{tmp_path}/bucket"}) as running:
        running.start_worker()
        running.until(lambda: not old.exists(), "the old file is removed")
        assert young.exists()
