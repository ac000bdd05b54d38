"""A backup is whole whatever happens meanwhile, and what is restored from it goes on as though nothing had been."""

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
from chainrule.instance_lock import claimed
from core.blobs.folder import RECENT_SECONDS, FolderBlobs
from core.settings import Settings
from core.store import garbage
from core.store.backup import snapshot
from core.store.database import open_database
from core.store.doctor import named
from harness.disks import small_disk
from harness.processes import service
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


def test_a_backup_of_a_service_at_work_goes_on_elsewhere_to_the_same_weights(tmp_path: Path) -> None:
    first = tmp_path / "first"
    first.mkdir()
    with service(first, lease_seconds=2) as one:
        job = httpx.post(f"{one.url}/v1/jobs", json=SPEC).raise_for_status().json()["id"]
        look = f"{one.url}/v1/jobs/{job}"
        one.until(lambda: httpx.get(f"{look}/checkpoints").json()["items"], "there is a checkpoint")
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
                said = invoke("backup", str(tmp_path / f"backup{number}"), data_dir=one.settings.data_dir)
                assert said.exit_code == 0, said.output
        finally:
            stopped.set()
            busy.join()
        undisturbed = one.until(lambda: ended(look), "the job has ended")
    assert undisturbed["status"] == "succeeded"

    for number in (1, 0):
        there = tmp_path / f"second{number}"
        said = invoke("restore", str(tmp_path / f"backup{number}"), data_dir=there / "data")
        assert said.exit_code == 0, said.output
        assert invoke("doctor", data_dir=there / "data").exit_code == 0
    with service(there, lease_seconds=2) as two:
        look = f"{two.url}/v1/jobs/{job}"
        assert httpx.get(look).json()["status"] in {"running", "queued"}
        continued = two.until(lambda: ended(look), "the job has ended again")
    assert continued["weights_sha256"] == undisturbed["weights_sha256"]
    assert continued["status"] == "succeeded"
    assert any("lease" in change["message"] for change in continued["transitions"])
    said = invoke("doctor", data_dir=there / "data")
    assert said.exit_code == 0, said.output


def ended(look: str) -> dict[str, Any]:
    job = dict(httpx.get(look).raise_for_status().json())
    return job if job["status"] in ENDED else {}


@pytest.fixture
def api(tmp_path: Path) -> Any:
    with running(Settings(**quiet(tmp_path / "data"))) as api:
        yield api


def tidy(api: Api) -> list[str]:
    """Time passes, and the worker removes what no row names."""
    for name in api.services.blobs.names():
        long_ago = time.time() - 2 * RECENT_SECONDS
        os.utime(api.services.blobs.path(name), (long_ago, long_ago))
    return garbage.collect(api.services.database, api.services.blobs)


Act = Callable[[], object]


def between(monkeypatch: pytest.MonkeyPatch, before: Act, after: Act) -> None:
    """Have others do this just before and just after the first snapshot."""
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


def whole(folder: Path, tmp_path: Path) -> list[str]:
    """The uploads in a backup, by way of a restored copy that the doctor has seen."""
    there = Settings(data_dir=tmp_path / f"restored {folder.name}")
    restore(there, folder)
    assert examine(there).findings == []
    database = open_database(there.resolved_database_url)
    with database.read() as s:
        wanted = {row.sha256 for row in named(s)}
    database.close()
    assert FolderBlobs(there.blob_dir).names() == wanted, "and nothing else"
    return sorted(wanted)


def test_what_comes_and_goes_between_files_and_database(
    api: Api, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = [upload(api.client, number) for number in range(3)]

    def before() -> None:
        made.append(upload(api.client, 3))
        api.client.delete(f"/v1/datasets/{made[0]['id']}")
        tidy(api)

    def after() -> None:
        api.client.delete(f"/v1/datasets/{made[1]['id']}")
        tidy(api)

    between(monkeypatch, before, after)
    assert back_up(api.services.settings, tmp_path / "b") == set()
    assert whole(tmp_path / "b", tmp_path) == sorted(one["sha256"] for one in made[1:])


def test_a_file_that_is_gone_before_it_was_taken_costs_another_snapshot(
    api: Api, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kept = upload(api.client, 0)
    late: list[dict[str, Any]] = []

    def after() -> None:  # longer than a minute after `before`
        api.client.delete(f"/v1/datasets/{late[0]['id']}")
        assert late[0]["sha256"] in tidy(api)

    between(monkeypatch, lambda: late.append(upload(api.client, 1)), after)
    assert back_up(api.services.settings, tmp_path / "b") == set()
    assert whole(tmp_path / "b", tmp_path) == [kept["sha256"]]


def test_where_no_link_works_files_are_copied_and_verified(api: Api, tmp_path: Path) -> None:
    made = upload(api.client, 0)
    with small_disk(tmp_path / "other", 8):
        back_up(api.services.settings, tmp_path / "other" / "b")
        copy = FolderBlobs(tmp_path / "other" / "b" / "blobs").path(made["sha256"])
        assert copy.stat().st_nlink == 1
        assert whole(tmp_path / "other" / "b", tmp_path) == [made["sha256"]]
        copy.write_bytes(b"damaged")
        with pytest.raises(CannotBackUp, match="is damaged"):
            restore(Settings(data_dir=tmp_path / "again"), tmp_path / "other" / "b")
        assert list((tmp_path / "again").iterdir()) == [tmp_path / "again" / "up.lock"]


def test_a_full_disk_leaves_no_half_backup(api: Api, tmp_path: Path) -> None:
    api.client.post("/v1/datasets", content=b"x,y\n" + b"1,2\n" * 400_000, headers=CSV).raise_for_status()
    with small_disk(tmp_path / "other", 1):
        said = invoke("backup", str(tmp_path / "other" / "b"), data_dir=api.services.settings.data_dir)
        assert said.exit_code == 1
        assert "No space left" in said.output
        assert list((tmp_path / "other" / "b").iterdir()) == []


def test_what_is_missing_here_too_is_told(api: Api, tmp_path: Path) -> None:
    whole_, gone = [upload(api.client, number)["sha256"] for number in range(2)]
    api.services.blobs.path(gone).unlink()
    said = invoke("backup", str(tmp_path / "b"), data_dir=api.services.settings.data_dir)
    assert said.exit_code == 1
    assert "1 files are missing or damaged here too" in said.output
    assert FolderBlobs(tmp_path / "b" / "blobs").names() == {whole_}


def test_neither_writes_over_anything(api: Api, tmp_path: Path) -> None:
    data = api.services.settings.data_dir
    full = tmp_path / "full"
    full.mkdir()
    (full / "letter").touch()
    assert "is not empty" in invoke("backup", str(full), data_dir=data).output
    assert invoke("backup", str(tmp_path / "b"), data_dir=data).exit_code == 0
    assert "is not empty" in invoke("backup", str(tmp_path / "b"), data_dir=data).output
    for place in (data, full):
        said = invoke("restore", str(tmp_path / "b"), data_dir=place)
        assert (said.exit_code, "is not empty" in said.output) == (1, True)
    with claimed(tmp_path / "claimed"):
        said = invoke("restore", str(tmp_path / "b"), data_dir=tmp_path / "claimed")
        assert (said.exit_code, "is in use" in said.output) == (1, True)
    assert "is no whole backup" in invoke("restore", str(full), data_dir=tmp_path / "new").output
    assert "there is no database" in invoke("backup", str(tmp_path / "c"), data_dir=tmp_path / "new").output
    postgres = "postgresql://nobody@127.0.0.1:1/nothing"
    assert "docs/guides/backup.md" in invoke("backup", str(tmp_path / "c"), data_dir=data, database_url=postgres).output
    shutil.rmtree(tmp_path / "b")


def test_a_database_elsewhere_is_restored_to_its_place(api: Api, tmp_path: Path) -> None:
    upload(api.client, 0)
    back_up(api.services.settings, tmp_path / "b")
    there = Settings(data_dir=tmp_path / "there", database_url=f"sqlite:///{tmp_path / 'elsewhere.db'}")
    restore(there, tmp_path / "b")
    assert examine(there).findings == []
