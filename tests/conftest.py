"""Fixtures for all tests: migrated databases on SQLite and PostgreSQL, and PyTorch."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy import event, make_url, text
from sqlalchemy.engine.interfaces import DBAPIConnection

from core.store.database import Database, open_database
from core.store.migrate import upgrade
from core.store.tables import Base
from harness.backends import POSTGRES, postgres_database, skip_or_fail

DATABASES = ("sqlite", "postgres")
DELETIONS = [text(f"DELETE FROM {table.name}") for table in reversed(Base.metadata.sorted_tables)]

settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("long", settings.get_profile("default"), max_examples=2_000, stateful_step_count=50)
settings.register_profile("ci", settings.get_profile("long"), max_examples=300)
settings.load_profile("default")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run tests that start processes first, so that no long test is left when all others are done."""
    items.sort(key=lambda item: "tests/core/" in item.path.as_posix())


@pytest.fixture(scope="session")
def torch() -> Any:
    """Return PyTorch, or skip the test without it."""
    try:
        import torch  # noqa: PLC0415  optional, not in requirements.lock
    except ImportError as error:
        skip_or_fail("torch", error)
    return torch


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the path of a migrated SQLite database to copy."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres_template() -> Iterator[str]:
    """Yield the name of a migrated PostgreSQL database to copy: ten times faster than migrating each."""
    with postgres_database() as url:
        upgrade(url)
        yield str(make_url(url).database)


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """Return the URL of a new, migrated SQLite database."""
    return f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'chainrule.db')}"


@pytest.fixture
def postgres_url(postgres_template: str) -> Iterator[str]:
    """Yield the URL of a new, migrated PostgreSQL database."""
    with postgres_database() as url:
        name = make_url(url).database
        with psycopg.connect(POSTGRES, autocommit=True) as admin:
            admin.execute(f"DROP DATABASE {name}")
            admin.execute(f"CREATE DATABASE {name} TEMPLATE {postgres_template}")
        yield url


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest) -> str:
    """Return the URL of a new, migrated database of each kind."""
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture(params=DATABASES)
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Yield the URL of a database of each kind without tables."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    with postgres_database() as url:
        yield url


@pytest.fixture(scope="session", params=DATABASES)
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Open one migrated database of each kind for the session; `database` empties it for each test."""
    with ExitStack() as stack:
        if request.param == "sqlite":
            url, no_sync = f"sqlite:///{tmp_path_factory.mktemp('store') / 'chainrule.db'}", "PRAGMA synchronous = OFF"
        else:
            url, no_sync = stack.enter_context(postgres_database()), "SET synchronous_commit = off"
        upgrade(url)
        database = open_database(url)
        stack.callback(database.close)
        # Tests cut no power, so a commit need not wait for the disk: twice as fast.
        event.listen(database.engine, "connect", lambda connection, _record: run(connection, no_sync))
        yield database


@pytest.fixture
def database(store: Database) -> Database:
    """Return a migrated database of each kind without rows."""
    empty(store)
    return store


def run(connection: DBAPIConnection, statement: str) -> None:
    """Run one statement and commit it."""
    cursor = connection.cursor()
    cursor.execute(statement)
    cursor.close()
    connection.commit()


def empty(database: Database) -> None:
    """Delete all rows."""
    with database.begin() as s:
        for deletion in DELETIONS:
            s.execute(deletion)
