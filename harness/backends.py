"""Empty Postgres and Redis databases for single tests.

A test whose backend is missing is skipped. It fails instead if the environment variable CHAINRULE_REQUIRE names the
backend (`postgres,redis,torch,sklearn,chromium,node,openapi-python-client`).
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
"""Key that marks a Redis database as taken."""


def skip_or_fail(name: str, reason: object) -> NoReturn:
    """Skip this test because a backend is missing, or fail it if CHAINRULE_REQUIRE names the backend."""
    line = f"{name} is missing: {str(reason).splitlines()[0]}"
    if name in os.environ.get("CHAINRULE_REQUIRE", "").split(","):
        pytest.fail(f"{line} (and CHAINRULE_REQUIRE names it)", pytrace=False)
    pytest.skip(line)


@contextmanager
def postgres_database() -> Iterator[str]:
    """Create an empty database, yield its URL, and drop it afterwards."""
    try:
        admin = psycopg.connect(POSTGRES, autocommit=True, connect_timeout=3)
    except psycopg.OperationalError as error:
        skip_or_fail("postgres", error)
    name = f"chainrule_test_{secrets.token_hex(6)}"
    with admin:
        admin.execute(f"CREATE DATABASE {name}")
        # Tests cut no power, so a commit need not wait for the disk.
        admin.execute(f"ALTER DATABASE {name} SET synchronous_commit TO off")
        try:
            yield make_url(POSTGRES).set(database=name).render_as_string(hide_password=False)
        finally:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def redis_database() -> Iterator[str]:
    """Reserve an empty Redis database, yield its URL, and flush it afterwards."""
    for number in range(1, 16):
        url = f"{REDIS}/{number}"
        with redis.Redis.from_url(url, socket_connect_timeout=3) as client:
            try:
                reserved = client.set(CLAIM, os.getpid(), nx=True, ex=600)
            except redis.RedisError as error:
                skip_or_fail("redis", error)
            if reserved:
                for key in client.scan_iter():
                    if key != CLAIM.encode():  # else another test could reserve it too
                        client.delete(key)
                try:
                    yield url
                finally:
                    client.flushdb()
                return
    pytest.fail("other tests use all Redis databases")
