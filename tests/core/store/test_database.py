"""Settings of the connections, and concurrent readers and writers."""

from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from core.store import database as database_module
from core.store import jobs
from core.store.database import Database, dumps, open_database
from core.store.errors import NetworkFileSystem
from core.store.scope import EVERYTHING
from tests.builders import a_job
from tests.core.store.test_leases import together

SQLITE = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 10_000}
POSTGRES = {"lock_timeout": "5s", "statement_timeout": "30s", "idle_in_transaction_session_timeout": "1min"}


def test_sqlite_pragmas_are_set(sqlite_url: str) -> None:
    database = open_database(sqlite_url)
    with database.read() as s:
        assert {name: s.execute(text(f"PRAGMA {name}")).scalar() for name in SQLITE} == SQLITE
    database.close()


def test_postgres_timeouts_are_set(postgres_url: str) -> None:
    database = open_database(postgres_url)
    with database.read() as s:
        assert {name: s.execute(text(f"SHOW {name}")).scalar() for name in POSTGRES} == POSTGRES
    database.close()


def test_reader_sees_committed_rows_without_waiting_for_a_writer(database: Database) -> None:
    with database.begin() as writing:
        job_id = a_job(writing).id
        with database.read() as reading:
            assert not jobs.exists(reading, EVERYTHING, job_id)
    with database.read() as reading:
        assert jobs.exists(reading, EVERYTHING, job_id)


def test_writer_does_not_wait_for_a_reader(database: Database) -> None:
    with database.read() as reading:
        assert jobs.page(reading, EVERYTHING) == ([], None)
        with database.begin() as writing:
            a_job(writing)


def test_concurrent_transactions_that_read_and_write_succeed(database: Database) -> None:
    def read_and_write() -> None:
        for _ in range(5):
            with database.begin() as s:
                jobs.page(s, EVERYTHING)
                a_job(s)

    together(*[read_and_write] * 4)
    with database.read() as s:
        assert len(jobs.page(s, EVERYTHING, limit=100)[0]) == 20


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs"])
def test_sqlite_on_a_network_file_system_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/sda / ext4 rw 0 0\nserver:/x {tmp_path}/far\\040away {kind} rw 0 0\n")
    monkeypatch.setattr(database_module, "MOUNTS", mounts)
    (tmp_path / "far away").mkdir()
    with pytest.raises(NetworkFileSystem, match=rf"network file system \({kind}\)"):
        open_database(f"sqlite:///{tmp_path}/far away/chainrule.db")
    assert answers(tmp_path / "near.db")


def test_sqlite_without_a_list_of_mounts_is_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_module, "MOUNTS", tmp_path / "none")
    assert answers(tmp_path / "near.db")


def answers(path: Path) -> bool:
    """Return whether the SQLite database at this path can be opened and queried."""
    with closing(open_database(f"sqlite:///{path}")) as database, database.read() as s:
        return bool(s.scalar(text("SELECT 1")) == 1)


def test_dumps_names_values_that_are_not_finite() -> None:
    assert dumps({"a": [1.0, float("nan")], "b": ({"c": float("-inf")},)}) == '{"a":[1.0,"nan"],"b":[{"c":"-inf"}]}'
    assert dumps({"a": 1}) == '{"a":1}'
