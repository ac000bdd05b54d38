"""Liveness and readiness."""

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import event, make_url, text

from api.app import create_app
from api.services import readiness
from core import VERSION
from core.blobs.bucket import BucketBlobs
from core.blobs.folder import FolderBlobs
from core.store.errors import WrongRevision
from harness.disks import fill, free, make_read_only, small_disk
from harness.processes import Processes, processes

READY = {
    "status": "ready",
    "version": VERSION,
    "database": {"status": "ok"},
    "blobs": {"status": "ok"},
    "broker": {"status": "ok"},
    "waiting_for_version": [],
}


def test_health_and_every_header_say_the_version(client: TestClient) -> None:
    answer = client.get("/health")
    assert answer.json() == {"status": "ok", "version": VERSION}
    for path in ("/health", "/", "/v1/jobs/job_x", "/nowhere"):
        assert client.get(path).headers["x-chainrule-version"] == VERSION


@pytest.fixture(autouse=True)
def _every_probe_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each request run the probes, in this process."""
    monkeypatch.setattr(readiness, "PROBE_SECONDS", 0.0)
    monkeypatch.setattr(FolderBlobs, "probe_seconds", 0.0)
    monkeypatch.setattr(BucketBlobs, "probe_seconds", 0.0)


def parts(answer: Any) -> dict[str, str]:
    """Return the status of each part of a response."""
    return {name: part["status"] for name, part in answer.json().items() if isinstance(part, dict)}


def test_service_is_live_and_ready(client: TestClient) -> None:
    assert client.get("/health/live").json() == {"status": "ok"}
    ready = client.get("/health/ready")
    assert ready.status_code == 200
    assert ready.json() == READY


def test_service_without_broker_is_ready_and_reports_it(start: Any) -> None:
    api = start(broker_url="redis://127.0.0.1:1/0")
    ready = api.client.get("/health/ready")
    assert (ready.status_code, ready.json()["broker"]) == (200, {"status": "away"})
    assert api.post()["status"] == "queued"


def test_service_at_another_migration_is_not_ready_and_does_not_start(start: Any) -> None:
    api = start()
    with api.services.database.begin() as s:
        s.execute(text("UPDATE alembic_version SET version_num = 'other'"))
    ready = api.client.get("/health/ready")
    assert ready.status_code == 503
    assert ready.json()["database"]["status"] == "wrong_revision"
    assert "chainrule migrate" in ready.json()["database"]["detail"]
    with pytest.raises(WrongRevision, match="chainrule migrate"), TestClient(create_app(api.services.settings)):
        pass


def test_many_probes_leave_no_trace(start: Any, database_url: str) -> None:
    api = start(database_url=database_url)
    data = api.services.settings.data_dir
    api.client.get("/health/ready")
    with api.services.database.read() as s:
        tables = {
            name: s.execute(text(f"SELECT count(*) FROM {name}")).scalar() for name in ("alembic_version", "jobs")
        }
    files = {path.name for path in data.rglob("*")}
    for _ in range(50):
        assert api.client.get("/health/ready").json() == READY
    with api.services.database.read() as s:
        for name, rows in tables.items():
            assert s.execute(text(f"SELECT count(*) FROM {name}")).scalar() == rows
        if "postgresql" in database_url:
            assert s.execute(text("SELECT pg_relation_size('alembic_version')")).scalar() == 8192
    assert {path.name for path in data.rglob("*")} == files


@pytest.mark.parametrize(
    ("setting", "status"),
    [("default_transaction_read_only = on", "read_only"), ("temp_file_limit = '1kB'", "away")],
    ids=["read-only", "no temporary files"],
)
def test_postgres_that_cannot_be_written_is_not_ready(start: Any, postgres_url: str, setting: str, status: str) -> None:
    api = start(database_url=postgres_url)
    name = make_url(postgres_url).database
    with api.services.database.begin() as s:
        s.execute(text(f"ALTER DATABASE {name} SET {setting}"))
    api.services.database.engine.dispose()
    ready = api.client.get("/health/ready")
    assert ready.status_code == 503
    assert parts(ready) == {"database": status, "blobs": "ok", "broker": "ok"}


def test_bucket_that_refuses_files_is_not_ready(start: Any, tmp_path: Path) -> None:
    api = start(blobs_url=f"file://{tmp_path}/bucket")
    assert api.client.get("/health/ready").status_code == 200
    shutil.rmtree(tmp_path / "bucket")
    (tmp_path / "bucket").write_bytes(b"")
    ready = api.client.get("/health/ready")
    assert ready.status_code == 503
    assert parts(ready) == {"database": "ok", "blobs": "away", "broker": "ok"}


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Processes]:
    """Start an API with a data folder on a disk of 8 MB."""
    data = tmp_path / "data"
    with small_disk(data, 8), processes(tmp_path, data_dir=data) as running:
        running.start_api()
        yield running


def until_parts(running: Processes, code: int, **expected: str) -> None:
    """Wait until readiness has this status code and these parts."""

    def reached() -> bool:
        ready = httpx.get(f"{running.url}/health/ready", timeout=10)
        return ready.status_code == code and parts(ready).items() >= expected.items()

    running.until(reached, f"readiness is {code} with {expected}")


def test_full_disk_is_not_ready_until_it_has_room(small: Processes) -> None:
    fill(small.settings.data_dir)
    until_parts(small, 503, blobs="full")
    free(small.settings.data_dir)
    until_parts(small, 200, database="ok", blobs="ok")


def test_read_only_disk_is_not_ready(tmp_path: Path) -> None:
    blobs = tmp_path / "data" / "blobs"
    with small_disk(blobs, 2), processes(tmp_path) as running:
        running.start_api()
        make_read_only(blobs)
        until_parts(running, 503, database="ok", blobs="read_only")


def test_read_only_sqlite_is_not_ready(start: Any) -> None:
    api = start()
    engine = api.services.database.engine
    event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA query_only = ON").close())
    engine.dispose()
    ready = api.client.get("/health/ready")
    assert ready.status_code == 503
    assert parts(ready) == {"database": "read_only", "blobs": "ok", "broker": "ok"}


def test_probe_that_hangs_is_away_and_runs_once() -> None:
    release, runs = threading.Event(), []

    def hang() -> readiness.Status:
        runs.append(1)
        release.wait(10)
        return readiness.OK

    probe = readiness.Probe(hang, 0.0)
    assert [readiness._result(probe.start(), 0.01) for _ in range(3)] == [readiness.AWAY] * 3
    release.set()
    assert probe.start().result(10) == readiness.OK
    assert len(runs) == 1
