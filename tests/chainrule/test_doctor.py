"""The doctor as a command: each kind of damage to files and to the database is a line and an exit code of 1."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text
from typer.testing import CliRunner, Result

from chainrule.cli import app
from core.settings import Settings
from core.store.tables import Checkpoint
from harness.backends import postgres_database
from tests.api.conftest import Api, quiet, running

PAGE = 4096
TABLE = b"x,y\n1,2\n2,4\n"


def examined(**variables: object) -> Result:
    environment = {f"CHAINRULE_{name.upper()}": str(value) for name, value in variables.items()}
    return CliRunner().invoke(app, ["doctor"], env=environment)


def in_use(api: Api) -> dict[str, Path]:
    """A trained job and an upload, and where their files are."""
    job = api.trained()
    upload = api.client.post("/v1/datasets", content=TABLE, headers={"Content-Type": "text/csv"}).json()
    checkpoint = api.client.get(f"/v1/jobs/{job['id']}/checkpoints").json()["items"][0]
    blobs = api.services.blobs
    return {"checkpoint": blobs.path(checkpoint["sha256"]), "dataset": blobs.path(upload["sha256"])}


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def turn_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_damaged_and_missing_files_are_found_while_the_service_runs(tmp_path: Path) -> None:
    with running(Settings(**quiet(tmp_path))) as api:
        files = in_use(api)
        assert (said := examined(data_dir=tmp_path)).exit_code == 0, said.output
        assert said.output.splitlines()[-1] == "nothing is wrong"
        damages: list[tuple[Callable[[Path], object], str]] = [
            (Path.unlink, "is missing"),
            (cut_short, "is damaged"),
            (turn_a_bit, "is damaged"),
            (lambda path: path.write_bytes(b""), "is damaged"),
        ]
        for kind, path in files.items():
            whole = path.read_bytes()
            for damage, words in damages:
                damage(path)
                said = examined(data_dir=tmp_path)
                assert said.exit_code == 1
                (line,) = [line for line in said.output.splitlines() if line.startswith(kind)]
                assert words in line
                assert "upload the same file again" in line or "from a backup" in line
                path.write_bytes(whole)
        files["dataset"].unlink()
        api.client.post("/v1/datasets", content=TABLE, headers={"Content-Type": "text/csv"}).raise_for_status()
        assert examined(data_dir=tmp_path).exit_code == 0


def test_a_row_that_says_another_size_and_a_file_that_is_no_checkpoint(tmp_path: Path) -> None:
    with running(Settings(**quiet(tmp_path))) as api:
        in_use(api)
        other = api.services.blobs.put(b"no checkpoint")
        with api.services.database.begin() as s:
            s.execute(text("UPDATE datasets SET bytes = 13"))
            s.query(Checkpoint).update({"sha256": other, "bytes": 13})
        said = examined(data_dir=tmp_path)
        assert said.exit_code == 1
        assert "its file has 12 bytes, its row says 13" in said.output
        assert "is no checkpoint" in said.output


def test_files_without_rows_are_told_and_are_no_fault(tmp_path: Path) -> None:
    with running(Settings(**quiet(tmp_path))) as api:
        name = api.services.blobs.put(b"left by a crash")
        api.services.blobs.put(b"written just now")
        before = time.time() - 3600
        os.utime(api.services.blobs.path(name), (before, before))
        said = examined(data_dir=tmp_path)
    assert said.exit_code == 0
    assert "files that no row names: 1 " in said.output


def test_another_migration_is_told(tmp_path: Path) -> None:
    with running(Settings(**quiet(tmp_path))) as api, api.services.database.begin() as s:
        s.execute(text("UPDATE alembic_version SET version_num = 'other'"))
    said = examined(data_dir=tmp_path)
    assert said.exit_code == 1
    assert "is at migration other" in said.output


@pytest.mark.parametrize("place", [0, PAGE])
def test_a_damaged_database_is_told(tmp_path: Path, place: int) -> None:
    with running(Settings(**quiet(tmp_path))) as api:
        in_use(api)
    path = tmp_path / "chainrule.db"
    data = bytearray(path.read_bytes())
    for page in range(place, len(data), PAGE):
        data[page : page + 64] = bytes(64)
    path.write_bytes(data)
    said = examined(data_dir=tmp_path)
    assert said.exit_code == 1
    assert "restore a backup" in said.output
    assert said.exception is None or isinstance(said.exception, SystemExit)


def test_no_database_is_told_and_none_is_made(tmp_path: Path) -> None:
    said = examined(data_dir=tmp_path)
    assert (said.exit_code, "there is no database" in said.output) == (1, True)
    assert list(tmp_path.iterdir()) == []


def test_postgres_too(tmp_path: Path) -> None:
    with postgres_database() as url, running(Settings(**quiet(tmp_path, database_url=url))) as api:
        files = in_use(api)
        assert (said := examined(data_dir=tmp_path, database_url=url)).exit_code == 0, said.output
        files["checkpoint"].unlink()
        assert "is missing" in examined(data_dir=tmp_path, database_url=url).output
