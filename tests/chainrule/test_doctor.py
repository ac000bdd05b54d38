"""`chainrule doctor`: each kind of damage is reported in a line, with exit code 1."""

import json
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
from tests.api.conftest import LINE, Api, quiet, running

PAGE = 4096
TABLE = b"x,y\n1,2\n2,4\n"


def run_doctor(**variables: object) -> Result:
    environment = {f"CHAINRULE_{name.upper()}": str(value) for name, value in variables.items()}
    return CliRunner().invoke(app, ["doctor"], env=environment)


def fill(api: Api) -> dict[str, Path]:
    """Train a job and upload a dataset; return the paths of their files."""
    job = api.trained()
    upload = api.client.post("/v1/datasets", content=TABLE, headers={"Content-Type": "text/csv"}).json()
    checkpoint = api.client.get(f"/v1/jobs/{job['id']}/checkpoints").json()["items"][0]
    text = json.dumps(LINE) + " " * 2**16
    large = api.client.post("/v1/jobs", content=text, headers={"Content-Type": "application/json"}).json()
    hashes = {"checkpoint": checkpoint["sha256"], "dataset": upload["sha256"], "spec": large["spec_sha256"]}
    return {kind: api.services.blobs.path(sha256) for kind, sha256 in hashes.items()}


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_damaged_and_missing_files_are_found_while_the_service_runs(tmp_path: Path) -> None:
    with running(Settings(**quiet(tmp_path))) as api:
        files = fill(api)
        assert (result := run_doctor(data_dir=tmp_path)).exit_code == 0, result.output
        assert result.output.splitlines()[-1] == "no problems found"
        assert "jobs: 2 of 100,000 (0.0%)" in result.output
        assert "bytes of datasets: 12 of 10,737,418,240 (0.0%)" in result.output
        damages: list[tuple[Callable[[Path], object], str]] = [
            (Path.unlink, "is missing"),
            (truncate, "is damaged"),
            (flip_a_bit, "is damaged"),
            (lambda path: path.write_bytes(b""), "is damaged"),
        ]
        for kind, path in files.items():
            content = path.read_bytes()
            for damage, words in damages:
                damage(path)
                result = run_doctor(data_dir=tmp_path)
                assert result.exit_code == 1
                (line,) = [line for line in result.output.splitlines() if line.startswith(f"{kind} ")]
                assert words in line
                assert "upload the same file again" in line or "from a backup" in line
                path.write_bytes(content)
        files["dataset"].unlink()
        api.client.post("/v1/datasets", content=TABLE, headers={"Content-Type": "text/csv"}).raise_for_status()
        assert run_doctor(data_dir=tmp_path).exit_code == 0


def test_wrong_size_and_wrong_content_are_reported(tmp_path: Path) -> None:
    with running(Settings(**quiet(tmp_path))) as api:
        fill(api)
        other = api.services.blobs.put(b"no checkpoint")
        with api.services.database.begin() as s:
            s.execute(text("UPDATE datasets SET bytes = 13"))
            s.query(Checkpoint).update({"sha256": other, "bytes": 13})
        result = run_doctor(data_dir=tmp_path)
        assert result.exit_code == 1
        assert "its file has 12 bytes instead of 13" in result.output
        assert "is not a checkpoint" in result.output


def test_unreferenced_files_are_counted_but_are_no_problem(tmp_path: Path) -> None:
    with running(Settings(**quiet(tmp_path))) as api:
        name = api.services.blobs.put(b"left by a crash")
        api.services.blobs.put(b"written just now")
        before = time.time() - 3600
        os.utime(api.services.blobs.path(name), (before, before))
        result = run_doctor(data_dir=tmp_path)
    assert result.exit_code == 0
    assert "files that no row names: 1 " in result.output


def test_other_migration_is_reported(tmp_path: Path) -> None:
    with running(Settings(**quiet(tmp_path))) as api, api.services.database.begin() as s:
        s.execute(text("UPDATE alembic_version SET version_num = 'other'"))
    result = run_doctor(data_dir=tmp_path)
    assert result.exit_code == 1
    assert "is at migration other" in result.output


@pytest.mark.parametrize("offset", [0, PAGE])
def test_damaged_database_is_reported(tmp_path: Path, offset: int) -> None:
    with running(Settings(**quiet(tmp_path))) as api:
        fill(api)
    path = tmp_path / "chainrule.db"
    data = bytearray(path.read_bytes())
    for page in range(offset, len(data), PAGE):
        data[page : page + 64] = bytes(64)
    path.write_bytes(data)
    result = run_doctor(data_dir=tmp_path)
    assert result.exit_code == 1
    assert "restore a backup" in result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)


def test_missing_database_is_reported_and_not_created(tmp_path: Path) -> None:
    result = run_doctor(data_dir=tmp_path)
    assert (result.exit_code, "there is no database" in result.output) == (1, True)
    assert list(tmp_path.iterdir()) == []


def test_missing_file_is_reported_with_postgres(tmp_path: Path) -> None:
    with postgres_database() as url, running(Settings(**quiet(tmp_path, database_url=url))) as api:
        files = fill(api)
        assert (result := run_doctor(data_dir=tmp_path, database_url=url)).exit_code == 0, result.output
        files["checkpoint"].unlink()
        assert "is missing" in run_doctor(data_dir=tmp_path, database_url=url).output
