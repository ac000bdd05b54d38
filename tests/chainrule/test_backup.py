"""Backups made while data changes, and services that resume from them."""

import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result

from chainrule.backup import CannotBackUp, back_up, restore
from chainrule.cli import app
from chainrule.doctor import examine
from chainrule.instance_lock import locked_folder
from core.blobs.folder import RECENT_SECONDS, FolderBlobs
from core.settings import Settings
from core.store import garbage
from core.store.backup import snapshot
from core.store.database import open_database
from core.store.doctor import blob_references
from harness.disks import small_disk
from harness.processes import processes, service
from tests.api.conftest import Api, quiet, running

CSV = {"Content-Type": "text/csv"}
SPEC: dict[str, Any] = {
    "data": {"type": "builtin", "name": "spirals", "rows": 400, "validation": {"fraction": 0.25}},
    "architecture": {
        "layers": [
            {"type": "dense", "units": 64, "activation": "relu"},
            {"type": "batch_normalization"},
            {"type": "dropout", "rate": 0.1},
            {"type": "dense", "units": 2},
        ]
    },
    "optimizer": {"type": "adam"},
    "training": {"epochs": 400, "batch_size": 8, "seed": 3, "log_every": 50},
}
ENDED = {"succeeded", "failed", "cancelled"}


def invoke(*command: str, **variables: object) -> Result:
    environment = {f"CHAINRULE_{name.upper()}": str(value) for name, value in variables.items()}
    return CliRunner().invoke(app, list(command), env=environment)


def table(number: int) -> bytes:
    return f"x,y\n{number},2\n2,4\n".encode()


def upload(client: Any, number: int, url: str = "") -> dict[str, Any]:
    return dict(client.post(f"{url}/v1/datasets", content=table(number), headers=CSV).raise_for_status().json())


def test_job_restored_from_a_backup_ends_with_the_same_weights(tmp_path: Path) -> None:
    first = tmp_path / "first"
    first.mkdir()
    with service(first, lease_seconds=2) as one:
        job = httpx.post(f"{one.url}/v1/jobs", json=SPEC).raise_for_status().json()["id"]
        job_url = f"{one.url}/v1/jobs/{job}"
        one.until(lambda: httpx.get(f"{job_url}/checkpoints").json()["items"], "there is a checkpoint")
        stopped = threading.Event()

        def uploads() -> None:
            number = 0
            while not stopped.is_set():
                number += 1
                made = upload(httpx, number, one.url)
                if number % 2:
                    httpx.delete(f"{one.url}/v1/datasets/{made['id']}").raise_for_status()

        busy = threading.Thread(target=uploads)
        busy.start()
        try:
            for number in range(2):
                result = invoke("backup", str(tmp_path / f"backup{number}"), data_dir=one.settings.data_dir)
                assert result.exit_code == 0, result.output
        finally:
            stopped.set()
            busy.join()
        undisturbed = one.until(lambda: ended(job_url), "the job has ended")
    assert undisturbed["status"] == "succeeded"

    for number in (1, 0):
        restored = tmp_path / f"second{number}"
        result = invoke("restore", str(tmp_path / f"backup{number}"), data_dir=restored / "data")
        assert result.exit_code == 0, result.output
        assert invoke("doctor", data_dir=restored / "data").exit_code == 0
    with processes(restored, lease_seconds=2) as two:
        two.start_api()
        job_url = f"{two.url}/v1/jobs/{job}"
        assert httpx.get(job_url).json()["status"] in {"running", "queued"}
        two.start_worker()
        continued = two.until(lambda: ended(job_url), "the job has ended again")
    assert continued["weights_sha256"] == undisturbed["weights_sha256"]
    assert continued["status"] == "succeeded"
    assert any("lease" in change["message"] for change in continued["transitions"])
    result = invoke("doctor", data_dir=restored / "data")
    assert result.exit_code == 0, result.output


def ended(job_url: str) -> dict[str, Any]:
    job = dict(httpx.get(job_url).raise_for_status().json())
    return job if job["status"] in ENDED else {}


@pytest.fixture
def api(tmp_path: Path) -> Any:
    with running(Settings(**quiet(tmp_path / "data"))) as api:
        yield api


def collect_garbage(api: Api) -> list[str]:
    """Let all files become old, and remove those that no row names."""
    for name in api.services.blobs.names():
        long_ago = time.time() - 2 * RECENT_SECONDS
        os.utime(api.services.blobs.path(name), (long_ago, long_ago))
    return garbage.collect(api.services.database, api.services.blobs)


Act = Callable[[], object]


def between(monkeypatch: pytest.MonkeyPatch, before: Act, after: Act) -> None:
    """Call `before` and `after` just before and after the first snapshot."""
    real, calls = snapshot, iter([True])

    def interrupted(database: Path, copy: Path) -> set[str]:
        first = next(calls, False)
        if first:
            before()
        wanted = real(database, copy)
        if first:
            after()
        return wanted

    monkeypatch.setattr("chainrule.backup.snapshot", interrupted)


def restored_uploads(folder: Path, tmp_path: Path) -> list[str]:
    """Restore a backup, check it with the doctor, and return the names of its uploads."""
    target = Settings(data_dir=tmp_path / f"restored {folder.name}")
    restore(target, folder)
    assert examine(target).findings == []
    database = open_database(target.resolved_database_url)
    with database.read() as s:
        wanted = {row.sha256 for row in blob_references(s)}
    database.close()
    assert FolderBlobs(target.blob_dir).names() == wanted, "the backup has other files"
    return sorted(wanted)


def test_backup_is_complete_when_files_change_during_it(
    api: Api, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    uploads = [upload(api.client, number) for number in range(3)]

    def before() -> None:
        uploads.append(upload(api.client, 3))
        api.client.delete(f"/v1/datasets/{uploads[0]['id']}")
        collect_garbage(api)

    def after() -> None:
        api.client.delete(f"/v1/datasets/{uploads[1]['id']}")
        collect_garbage(api)

    between(monkeypatch, before, after)
    assert back_up(api.services.settings, tmp_path / "b") == set()
    assert restored_uploads(tmp_path / "b", tmp_path) == sorted(one["sha256"] for one in uploads[1:])


def test_file_removed_before_it_was_copied_causes_another_snapshot(
    api: Api, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kept = upload(api.client, 0)
    late: list[dict[str, Any]] = []

    def after() -> None:  # longer than a minute after `before`
        api.client.delete(f"/v1/datasets/{late[0]['id']}")
        assert late[0]["sha256"] in collect_garbage(api)

    between(monkeypatch, lambda: late.append(upload(api.client, 1)), after)
    assert back_up(api.services.settings, tmp_path / "b") == set()
    assert restored_uploads(tmp_path / "b", tmp_path) == [kept["sha256"]]


def test_files_are_copied_and_verified_across_file_systems(api: Api, tmp_path: Path) -> None:
    made = upload(api.client, 0)
    with small_disk(tmp_path / "other", 8):
        back_up(api.services.settings, tmp_path / "other" / "b")
        copy = FolderBlobs(tmp_path / "other" / "b" / "blobs").path(made["sha256"])
        assert copy.stat().st_nlink == 1
        assert restored_uploads(tmp_path / "other" / "b", tmp_path) == [made["sha256"]]
        copy.write_bytes(b"damaged")
        with pytest.raises(CannotBackUp, match="is damaged"):
            restore(Settings(data_dir=tmp_path / "again"), tmp_path / "other" / "b")
        assert list((tmp_path / "again").iterdir()) == [tmp_path / "again" / "up.lock"]


def test_full_disk_leaves_no_partial_backup(api: Api, tmp_path: Path) -> None:
    api.client.post("/v1/datasets", content=b"x,y\n" + b"1,2\n" * 400_000, headers=CSV).raise_for_status()
    with small_disk(tmp_path / "other", 1):
        result = invoke("backup", str(tmp_path / "other" / "b"), data_dir=api.services.settings.data_dir)
        assert result.exit_code == 1
        assert "No space left" in result.output
        assert list((tmp_path / "other" / "b").iterdir()) == []


def test_backup_reports_files_missing_in_the_service(api: Api, tmp_path: Path) -> None:
    present, gone = [upload(api.client, number)["sha256"] for number in range(2)]
    api.services.blobs.path(gone).unlink()
    result = invoke("backup", str(tmp_path / "b"), data_dir=api.services.settings.data_dir)
    assert result.exit_code == 1
    assert "1 files are missing or damaged in the service itself" in result.output
    assert FolderBlobs(tmp_path / "b" / "blobs").names() == {present}


def test_backup_and_restore_refuse_folders_that_are_not_empty(api: Api, tmp_path: Path) -> None:
    data = api.services.settings.data_dir
    full = tmp_path / "full"
    full.mkdir()
    (full / "letter").touch()
    assert "is not empty" in invoke("backup", str(full), data_dir=data).output
    assert invoke("backup", str(tmp_path / "b"), data_dir=data).exit_code == 0
    assert "is not empty" in invoke("backup", str(tmp_path / "b"), data_dir=data).output
    for place in (data, full):
        result = invoke("restore", str(tmp_path / "b"), data_dir=place)
        assert (result.exit_code, "is not empty" in result.output) == (1, True)
    with locked_folder(tmp_path / "locked"):
        result = invoke("restore", str(tmp_path / "b"), data_dir=tmp_path / "locked")
        assert (result.exit_code, "is in use" in result.output) == (1, True)
    assert "is not a complete backup" in invoke("restore", str(full), data_dir=tmp_path / "new").output
    assert "there is no database" in invoke("backup", str(tmp_path / "c"), data_dir=tmp_path / "new").output
    postgres = "postgresql://nobody@127.0.0.1:1/nothing"
    assert "docs/guides/backup.md" in invoke("backup", str(tmp_path / "c"), data_dir=data, database_url=postgres).output
    shutil.rmtree(tmp_path / "b")


def test_restore_follows_a_database_url(api: Api, tmp_path: Path) -> None:
    upload(api.client, 0)
    back_up(api.services.settings, tmp_path / "b")
    target = Settings(data_dir=tmp_path / "there", database_url=f"sqlite:///{tmp_path / 'elsewhere.db'}")
    restore(target, tmp_path / "b")
    assert examine(target).findings == []
