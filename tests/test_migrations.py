"""Migrations on SQLite and PostgreSQL: the same tables, no lost rows, repeatable and concurrent."""

import json
import os
import subprocess
import sys
import threading
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, Table, inspect, select, text
from sqlalchemy.exc import DBAPIError

from core.data.schema import Column, Schema
from core.store.database import Database, open_database
from core.store.errors import WrongRevision
from core.store.migrate import HEAD_REVISION, config, drift, require_head, revision_state, upgrade
from core.store.scope import DEFAULT_OWNER
from core.store.tables import Base
from tests.builders import a_dataset

REVISIONS = [script.revision for script in ScriptDirectory.from_config(config()).walk_revisions()][::-1]
UPGRADE = "import sys; from core.store.migrate import upgrade; sys.stdin.read(1); upgrade(sys.argv[1])"


def _upgrade(url: str, revision: str) -> None:
    database = open_database(url)
    with database.engine.begin() as connection:
        command.upgrade(config(connection), revision)
    database.close()


def test_history_has_one_head_which_the_program_names() -> None:
    assert ScriptDirectory.from_config(config()).get_heads() == [HEAD_REVISION]


def test_upgrade_of_an_empty_database_makes_all_tables(empty_database_url: str) -> None:
    database = open_database(empty_database_url)
    with pytest.raises(WrongRevision, match=r"at migration none, .* run `chainrule migrate`"):
        require_head(database.engine)
    upgrade(empty_database_url)
    require_head(database.engine)
    assert revision_state(database.engine).at_head
    assert drift(database.engine) == []
    assert set(inspect(database.engine).get_table_names()) == {*Base.metadata.tables, "alembic_version"}
    database.close()


def test_upgrade_fingerprints_datasets_and_gives_them_the_default_owner(empty_database_url: str) -> None:
    schema = Schema(format="csv", rows=1, columns=(Column(name="x", type="number", rows=1),))
    _upgrade(empty_database_url, "0001")
    database = open_database(empty_database_url)
    with database.begin() as s:
        s.execute(
            text(
                "INSERT INTO datasets (id, name, format, sha256, bytes, rows, columns, created_at) "
                "VALUES ('ds_1', 'old', 'csv', :sha256, 3, 1, :columns, 1)"
            ),
            {"sha256": "a" * 64, "columns": json.dumps(schema.to_json())},
        )
    upgrade(empty_database_url)
    assert drift(database.engine) == []
    with database.begin() as s:
        again = a_dataset(s, sha256="a" * 64, fingerprint=schema.fingerprint("a" * 64))
        assert (again.id, again.name, again.owner) == ("ds_1", "old", DEFAULT_OWNER)
    database.close()


@pytest.mark.parametrize("revision", REVISIONS[:-1])
def test_upgrade_from_any_revision_keeps_every_row(empty_database_url: str, revision: str) -> None:
    _upgrade(empty_database_url, revision)
    database = open_database(empty_database_url)
    tables = _tables(database)
    with database.begin() as s:
        for table in tables:
            s.execute(table.insert().values(_values(table)))
    upgrade(empty_database_url)
    assert drift(database.engine) == []
    with database.read() as s:
        names = {RENAMED_TABLES.get(table.name, table.name) for table in tables}
        kept = {one.name: s.execute(one.select()).mappings().one() for one in _tables(database) if one.name in names}
    for table in tables:
        renamed = RENAMED_COLUMNS.get(table.name, {})
        expected = {renamed.get(name, name): value for name, value in _values(table).items()}
        assert expected.items() <= dict(kept[RENAMED_TABLES.get(table.name, table.name)]).items(), table.name
    database.close()


@pytest.mark.parametrize("revision", REVISIONS[:-1])
def test_old_worker_can_write_during_an_upgrade(empty_database_url: str, revision: str) -> None:
    _upgrade(empty_database_url, revision)
    database = open_database(empty_database_url)
    by_name = {table.name: table for table in _tables(database)}
    jobs, events = by_name["jobs"], by_name["events"]
    with database.begin() as s:
        s.execute(jobs.insert().values(_values(jobs) | {"last_seq": 0}))
    migrated, failures = threading.Event(), []

    def work() -> None:
        """Repeat a worker's transaction with the columns of the old revision."""
        try:
            for number in count():
                if migrated.is_set() and number > 20:
                    return
                with database.begin() as s:
                    seq = s.scalar(jobs.update().values(last_seq=jobs.c.last_seq + 1).returning(jobs.c.last_seq))
                    s.execute(events.insert().values(_values(events) | {"seq": seq}))
        except DBAPIError as error:
            failures.append(error)

    worker = threading.Thread(target=work)
    worker.start()
    upgrade(empty_database_url)
    migrated.set()
    worker.join()
    assert failures == []
    with database.read() as s:
        seqs = s.scalars(select(events.c.seq).order_by(events.c.seq)).all()
        assert seqs == list(range(1, len(seqs) + 1))
        assert s.scalar(select(jobs.c.last_seq)) == len(seqs) > 20
    database.close()


def _tables(database: Database) -> list[Table]:
    """Return the tables of the database, each after those that it references."""
    metadata = MetaData()
    metadata.reflect(database.engine)
    return [table for table in metadata.sorted_tables if table.name != "alembic_version"]


def _values(table: Table) -> dict[str, Any]:
    """Return a row with a value in every column; foreign keys match."""
    return {
        column.name: VALUE_BY_NAME.get(column.name) or VALUE_BY_TYPE[column.type.python_type]
        for column in table.columns
    }


RENAMED_TABLES = {"worker_tallies": "worker_totals"}
RENAMED_COLUMNS = {
    "jobs": {
        "deaths": "lost_workers",
        "rung_at": "notified_at",
        "bytes": "memory_bytes",
        "inexact": "inexact_reason",
    },
}
VALUE_BY_NAME: dict[str, Any] = {
    "job_id": "one",
    "id": "one",
    "columns": {"format": "csv", "columns": [{"type": "number"}]},
}
VALUE_BY_TYPE: dict[type, Any] = {
    str: "one",
    int: 7,
    float: 0.5,
    bool: True,
    object: {"a": [1, "b"]},
}  # the last is JSON


def test_second_upgrade_changes_nothing(database_url: str) -> None:
    database = open_database(database_url)
    before = revision_state(database.engine)
    upgrade(database_url)
    assert revision_state(database.engine) == before
    database.close()


def test_require_head_at_another_revision_raises(database_url: str) -> None:
    database = open_database(database_url)
    with database.begin() as s:
        s.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(WrongRevision, match="at migration 9999"):
        require_head(database.engine)
    database.close()


def test_drift_lists_differences(database_url: str) -> None:
    database = open_database(database_url)
    with database.begin() as s:
        s.execute(text("DROP INDEX ix_jobs_next"))
        s.execute(text("ALTER TABLE datasets ADD COLUMN surplus INTEGER"))
    differences = " ".join(drift(database.engine))
    assert "ix_jobs_next" in differences
    assert "surplus" in differences
    database.close()


def test_concurrent_upgrades_from_any_folder_succeed(empty_database_url: str, tmp_path: Path) -> None:
    root = Path(__file__).parent.parent
    environment = os.environ | {"PYTHONPATH": str(root), "PYTHONWARNINGS": "error"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", UPGRADE, empty_database_url],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=tmp_path,
            env=environment,
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.close()  # each waits for this, so that all start at once
    errors = [process.stderr.read().decode() for process in processes if process.stderr]
    assert [process.wait() for process in processes] == [0, 0], errors
    for process in processes:
        assert process.stderr is not None
        process.stderr.close()
    database = open_database(empty_database_url)
    require_head(database.engine)
    database.close()
