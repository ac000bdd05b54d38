"""A full disk: the client gets 507, nothing partial is stored, and existing data stays intact."""

import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.http.problems import Problem
from harness.disks import fill, free, small_disk
from harness.processes import Processes, processes
from tests.api.conftest import LINE

TABLE = b"x,y\n" + b"1.5,2.5\n" * 400_000
CSV = {"Content-Type": "text/csv"}
SPEC: dict[str, Any] = {
    "data": {"type": "builtin", "name": "spirals"},
    "architecture": {"layers": [{"type": "dense", "units": 64, "activation": "relu"}, {"type": "dense", "units": 2}]},
    "training": {"epochs": 1_000_000, "batch_size": 16, "seed": 7},
}


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Processes]:
    """Yield an interface to processes, none started yet, with a data folder on a disk of 8 MB."""
    data = tmp_path / "data"
    with small_disk(data, 8), processes(tmp_path, data_dir=data) as running:
        yield running


def stored(running: Processes) -> set[str]:
    return {path.name for path in running.settings.blob_dir.glob("*") if path.name != ".lock"}


def assert_disk_full(answer: httpx.Response) -> None:
    assert answer.status_code == 507, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = Problem.model_validate_json(answer.text)
    assert problem.code == "storage_full"
    assert "make room" in problem.detail


@pytest.mark.parametrize("form", [False, True])
def test_upload_on_a_full_disk_stores_nothing(small: Processes, form: bool) -> None:
    small.start_api()
    url = f"{small.url}/v1/datasets"
    kept = httpx.post(url, content=b"x,y\n1,2\n2,4\n", headers=CSV).raise_for_status().json()["sha256"]
    fill(small.settings.data_dir)
    for table in (TABLE, TABLE[:1000]):
        assert_disk_full(httpx.post(url, files={"file": ("t.csv", table)}) if form else put(url, table))
        assert stored(small) == {kept}
    assert len(httpx.get(url).raise_for_status().json()["items"]) == 1
    free(small.settings.data_dir)
    assert put(url).status_code == 201
    assert "Traceback" not in small.output()


def put(url: str, table: bytes = TABLE) -> httpx.Response:
    return httpx.post(url, content=table, headers=CSV, timeout=30)


def test_upload_beyond_the_file_size_limit_stores_nothing(tmp_path: Path) -> None:
    with processes(tmp_path) as running:
        api = running.start_api()
        resource.prlimit(api.pid, resource.RLIMIT_FSIZE, (2**20, 2**20))
        assert_disk_full(put(f"{running.url}/v1/datasets"))
        assert stored(running) == set()


def test_job_on_a_full_disk_is_not_created(small: Processes) -> None:
    small.start_api()
    url = f"{small.url}/v1/jobs"
    headers = {"Idempotency-Key": "once"}
    wide = LINE | {"metadata": {str(n): "v" * 512 for n in range(16)}, "name": "wide"}
    wide["data"] = {"type": "inline", "x": [[n] for n in range(20_000)], "y": [[n] for n in range(20_000)]}
    first = httpx.post(url, json=LINE).raise_for_status().json()["id"]
    fill(small.settings.data_dir)
    assert_disk_full(httpx.post(url, json=wide, headers=headers))
    spooled = httpx.post(f"{url}/validate", content=b" " * 2**21, headers={"Content-Type": "application/json"})
    assert_disk_full(spooled)
    assert [job["id"] for job in httpx.get(url).raise_for_status().json()["items"]] == [first]
    free(small.settings.data_dir)
    answer = httpx.post(url, json=wide, headers=headers)
    assert answer.status_code == 201
    assert "idempotency-replayed" not in answer.headers


def test_checkpoint_on_a_full_disk_keeps_the_previous_one(tmp_path: Path) -> None:
    blobs = tmp_path / "data" / "blobs"
    with small_disk(blobs, 2), processes(tmp_path) as running:
        running.start_api()
        running.start_worker()
        job = f"{running.url}/v1/jobs/{httpx.post(f'{running.url}/v1/jobs', json=SPEC).raise_for_status().json()['id']}"

        def checkpoints() -> list[Any]:
            return list(httpx.get(f"{job}/checkpoints").raise_for_status().json()["items"])

        running.until(checkpoints, "there is a checkpoint")
        fill(blobs)
        running.until(lambda: "could not be written" in running.output(), "a checkpoint found no room")
        before = checkpoints()
        names = stored(running)
        assert {one["sha256"] for one in before} <= names
        assert not any(name.endswith(".part") for name in names)
        assert httpx.get(job).json()["status"] == "running"
        answer = httpx.post(f"{job}/predictions", json={"instances": [[0.1, 0.2]]})
        assert answer.status_code == 200, answer.text
        free(blobs)
        running.until(lambda: checkpoints() != before, "there is another one")
        httpx.post(f"{job}/cancel").raise_for_status()
        running.until(lambda: httpx.get(job).json()["status"] == "cancelled", "the job has ended")
        with httpx.stream("GET", f"{job}/events", headers={"Accept": "application/jsonl"}) as events:
            assert any("a checkpoint could not be written: No space left" in line for line in events.iter_lines())
