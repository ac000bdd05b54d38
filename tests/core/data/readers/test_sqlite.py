"""Tests of core/data/readers/sqlite.py: the table that is read, and databases that are refused."""

from pathlib import Path

import pytest

from core.data.errors import InvalidFile
from core.data.readers import load, rows
from core.data.readers.sqlite import Sqlite
from core.data.schema import Limits
from tests.core.data.readers.files import sqlite_bytes


def written(path: Path, content: bytes) -> Path:
    file = path / "a database?#%"
    file.write_bytes(content)
    return file


def test_table_is_read_with_its_missing_values(tmp_path: Path) -> None:
    content = sqlite_bytes(
        'CREATE TABLE "a ""b" (n, s TEXT)',
        """INSERT INTO "a ""b" VALUES (1.5, 'x'), (NULL, 'ü'), (3, NULL), (4, 'x')""",
    )
    path = written(tmp_path, content)
    schema = Sqlite().infer_schema(path, {}, Limits())
    assert [(column.name, column.type, column.missing) for column in schema.columns] == [
        ("n", "number", 1),
        ("s", "category", 1),
    ]
    assert load(path, schema, ["n"])["n"][[0, 2, 3]].tolist() == [1.5, 3.0, 4.0]
    assert rows(path, schema, 1, 2) == [{"n": None, "s": "ü"}, {"n": 3.0, "s": None}]
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


def test_one_of_several_tables_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, sqlite_bytes("CREATE TABLE a (x)", "CREATE TABLE b (y)", "INSERT INTO b VALUES (1), (2)"))
    schema = Sqlite(table="b").infer_schema(path, {}, Limits())
    assert (schema.rows, schema.layout) == (2, {"table": "b"})
    with pytest.raises(InvalidFile, match='the database has the tables "a", "b": name one with'):
        Sqlite().infer_schema(path, {}, Limits())
    with pytest.raises(InvalidFile, match='there is no table "c": the database has "a", "b"'):
        Sqlite(table="c").infer_schema(path, {}, Limits())
    with pytest.raises(InvalidFile, match="no table"):
        Sqlite(table="sqlite_master").infer_schema(path, {}, Limits())


@pytest.mark.parametrize(
    ("statements", "message"),
    [
        (["CREATE VIEW v AS SELECT 1"], "has no tables"),
        (["CREATE VIRTUAL TABLE v USING fts5(a)"], "table"),
        (["CREATE TABLE t (x)", "INSERT INTO t VALUES (x'00')"], 'row 1, column "x" has bytes'),
        (["CREATE TABLE t (x, y AS (cast(zeroblob(900000000) AS TEXT)))", "INSERT INTO t VALUES (1)"], "too big"),
        (["CREATE TABLE t (x)"], "no rows"),
        (["CREATE TABLE t (x)", "INSERT INTO t VALUES (cast(zeroblob(5000000) AS TEXT))"], "too big"),
        (["CREATE TABLE t (x)", "INSERT INTO t VALUES (cast(x'ff' AS TEXT))"], "UTF-8"),
    ],
)
def test_database_that_cannot_be_learnt_from_is_refused(tmp_path: Path, statements: list[str], message: str) -> None:
    path = written(tmp_path, sqlite_bytes(*statements))
    with pytest.raises(InvalidFile, match=message):
        Sqlite().infer_schema(path, {}, Limits())


@pytest.mark.parametrize("size", [16, 100, 3000])
def test_cut_off_database_is_refused(tmp_path: Path, size: int) -> None:
    content = sqlite_bytes("CREATE TABLE t (x)", "INSERT INTO t VALUES " + ", ".join(["('some text')"] * 1000))
    with pytest.raises(InvalidFile, match="cannot be read as an SQLite database"):
        Sqlite().infer_schema(written(tmp_path, content[:size]), {}, Limits())
