"""Fixtures for all tests: SQLite always, PostgreSQL and PyTorch where they answer, with the real migrations."""

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
ROWS = [text(f"DELETE FROM {table.name}") for table in reversed(Base.metadata.sorted_tables)]

settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("long", settings.get_profile("default"), max_examples=2_000, stateful_step_count=50)
settings.register_profile("ci", settings.get_profile("long"), max_examples=300)
settings.load_profile("default")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What starts processes comes first, so that no long test is left when all others are done."""
    items.sort(key=lambda item: "tests/core/" in item.path.as_posix())


@pytest.fixture(scope="session")
def torch() -> Any:
    """PyTorch, where it is installed."""
    try:
        import torch  # noqa: PLC0415  a reference only, outside the lock
    except ImportError as error:
        skip_or_fail("torch", error)
    return torch


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated file, to be copied."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres_template() -> Iterator[str]:
    """The name of a migrated database, to be copied: ten times faster than to migrate each."""
    with postgres_database() as url:
        upgrade(url)
        yield str(make_url(url).database)


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """A fresh, migrated SQLite database."""
    return f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'chainrule.db')}"


@pytest.fixture
def postgres_url(postgres_template: str) -> Iterator[str]:
    """A fresh, migrated PostgreSQL database."""
    with postgres_database() as url:
        name = make_url(url).database
        with psycopg.connect(POSTGRES, autocommit=True) as admin:
            admin.execute(f"DROP DATABASE {name}")
            admin.execute(f"CREATE DATABASE {name} TEMPLATE {postgres_template}")
        yield url


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest) -> str:
    """A fresh, migrated database of each kind."""
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture(params=DATABASES)
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database of each kind that holds nothing."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    with postgres_database() as url:
        yield url


@pytest.fixture(scope="session", params=DATABASES)
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A database of each kind for all tests that share one, each of which finds it empty (see `database`)."""
    with ExitStack() as stack:
        if request.param == "sqlite":
            url, hasten = f"sqlite:///{tmp_path_factory.mktemp('store') / 'chainrule.db'}", "PRAGMA synchronous = OFF"
        else:
            url, hasten = stack.enter_context(postgres_database()), "SET synchronous_commit = off"
        upgrade(url)
        database = open_database(url)
        stack.callback(database.close)
        # No power is cut here, so that no commit need wait for the disk: twice as fast.
        event.listen(database.engine, "connect", lambda connection, _record: run(connection, hasten))
        yield database


@pytest.fixture
def database(store: Database) -> Database:
    """Doors to a database of each kind, migrated and without rows."""
    empty(store)
    return store


def run(connection: DBAPIConnection, statement: str) -> None:
    """Run one statement on a connection that is its own."""
    cursor = connection.cursor()
    cursor.execute(statement)
    cursor.close()
    connection.commit()


def empty(database: Database) -> None:
    """Remove every row."""
    with database.begin() as s:
        for delete in ROWS:
            s.execute(delete)
