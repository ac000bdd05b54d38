"""Where Postgres and Redis answer, and a piece of each for one test: a database of its own.

What does not answer is skipped, and fails where CHAINRULE_REQUIRE names it (`postgres,redis,torch,sklearn,chromium`).
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import psycopg
import pytest
import redis
from sqlalchemy import make_url

POSTGRES = os.environ.get("CHAINRULE_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432/postgres")
REDIS = os.environ.get("CHAINRULE_TEST_REDIS", "redis://127.0.0.1:6379")
CLAIM = "chainrule-tests"


def missing(name: str, reason: object) -> NoReturn:
    """Skip this test, with a line that says why, or fail it where the name is required."""
    line = f"{name} is missing: {str(reason).splitlines()[0]}"
    if name in os.environ.get("CHAINRULE_REQUIRE", "").split(","):
        pytest.fail(f"{line} (and CHAINRULE_REQUIRE names it)", pytrace=False)
    pytest.skip(line)


@contextmanager
def postgres_database() -> Iterator[str]:
    """The URL of an empty database, dropped afterwards."""
    try:
        admin = psycopg.connect(POSTGRES, autocommit=True, connect_timeout=3)
    except psycopg.OperationalError as error:
        missing("postgres", error)
    name = f"chainrule_test_{secrets.token_hex(6)}"
    with admin:
        admin.execute(f"CREATE DATABASE {name}")
        # Nothing pulls the plug on this server: a test need not wait for the disk at each commit.
        admin.execute(f"ALTER DATABASE {name} SET synchronous_commit TO off")
        try:
            yield make_url(POSTGRES).set(database=name).render_as_string(hide_password=False)
        finally:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def redis_database() -> Iterator[str]:
    """The URL of an empty Redis database that nobody else uses, flushed afterwards."""
    for number in range(1, 16):
        url = f"{REDIS}/{number}"
        with redis.Redis.from_url(url, socket_connect_timeout=3) as client:
            try:
                mine = client.set(CLAIM, os.getpid(), nx=True, ex=600)
            except redis.RedisError as error:
                missing("redis", error)
            if mine:
                for key in client.scan_iter():
                    if key != CLAIM.encode():  # with the claim gone for a moment, another test would take it too
                        client.delete(key)
                try:
                    yield url
                finally:
                    client.flushdb()
                return
    pytest.fail("all of Redis's databases are claimed by other tests")
