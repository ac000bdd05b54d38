"""A service for one benchmark: processes on a free port, and a database that is dropped afterwards."""

import contextlib
import http.client
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import psycopg
import redis
from sqlalchemy import make_url

from benchmarks.outcome import Missing
from core.store.database import Database, open_database

ROOT = Path(__file__).parent.parent
POSTGRES = os.environ.get("CHAINRULE_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432/postgres")
REDIS = os.environ.get("CHAINRULE_TEST_REDIS", "redis://127.0.0.1:6379")
CLAIM = "chainrule-tests"
"""The key that marks a Redis database as taken; the tests use the same key."""
TIMEOUT_SECONDS = 60.0
"""Longest wait for an expected condition or an answer."""
STOP_TIMEOUT_SECONDS = 30.0
"""Longest time that the processes may take to stop."""

Result = TypeVar("Result")


class Client:
    """One open connection to the service, with as little as possible between it and the socket."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)

    def get(self, path: str) -> Any:
        """Return the JSON answer of a GET."""
        return self._ask("GET", path, None)

    def post(self, path: str, body: Any) -> Any:
        """Return the JSON answer of a POST."""
        return self._ask("POST", path, json.dumps(body))

    def raw(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """Return the answer's body as bytes."""
        self._connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status >= 400:
            raise RuntimeError(f"{method} {path}: {answer.status} {content[:500].decode(errors='replace')}")
        return content

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _ask(self, method: str, path: str, body: str | None) -> Any:
        return json.loads(self.raw(method, path, body.encode() if body else None))

    def until_status(self, job_id: str, wanted: str, poll_seconds: float = 0.005) -> Any:
        """Return the job when it has this status; another terminal status is an error."""

        def with_status() -> Any:
            job = self.get(f"/v1/jobs/{job_id}")
            if job["status"] != wanted and job["ended_at"]:
                raise RuntimeError(f"job {job_id} ended as {job['status']}: {job['error']}")
            return job if job["status"] == wanted else None

        return until(with_status, f"job {job_id} is {wanted}", poll_seconds)


@dataclass(frozen=True)
class Service:
    """The running service and its database."""

    port: int
    database: Database

    @contextmanager
    def client(self) -> Iterator[Client]:
        """Yield a new connection."""
        with contextlib.closing(Client(self.port)) as client:
            yield client


@contextmanager
def service(database_url: str | None = None, broker: str | None = None, *, worker: bool = True) -> Iterator[Service]:
    """Run `chainrule up`, or without a worker `chainrule api`, in a temporary folder; embedded without URLs."""
    with TemporaryDirectory(prefix="chainrule-bench-", ignore_cleanup_errors=True) as folder:
        port = free_port()
        variables = {
            "PORT": str(port),
            "DATA_DIR": f"{folder}/data",
            "DATABASE_URL": database_url,
            "BROKER_URL": broker,
        }
        with (Path(folder) / "output").open("wb") as output:
            environment = _environment({**variables, "LOG_LEVEL": "warning"})
            if not worker:
                _run("migrate", environment)
            process = _start("up" if worker else "api", environment, output)
            try:
                _until_ready(process, port, Path(output.name), worker=worker)
                database = open_database(database_url or f"sqlite:///{folder}/data/chainrule.db")
                with contextlib.closing(database):
                    yield Service(port, database)
            finally:
                _end(process)


@contextmanager
def postgres() -> Iterator[str]:
    """Yield the URL of an empty database, dropped afterwards."""
    try:
        admin = psycopg.connect(POSTGRES, autocommit=True, connect_timeout=3)
    except psycopg.OperationalError as error:
        raise Missing("postgres", error) from None
    name = f"chainrule_bench_{secrets.token_hex(6)}"
    with admin:
        admin.execute(f"CREATE DATABASE {name}")
        try:
            yield make_url(POSTGRES).set(database=name).render_as_string(hide_password=False)
        finally:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def redis_database() -> Iterator[str]:
    """Yield the URL of an empty Redis database, reserved and flushed afterwards."""
    for number in range(15, 0, -1):
        url = f"{REDIS}/{number}"
        with redis.Redis.from_url(url, socket_connect_timeout=3) as client:
            try:
                reserved = client.set(CLAIM, os.getpid(), nx=True, ex=900)
            except redis.RedisError as error:
                raise Missing("redis", error) from None
            if reserved:
                try:
                    yield url
                finally:
                    client.flushdb()
                return
    raise Missing("redis", "all its databases are taken by other runs")


def until(
    condition: Callable[[], Result | None],
    what: str,
    poll_seconds: float = 0.02,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> Result:
    """Return the first true result of `condition`. Raises `TimeoutError` after `timeout_seconds`."""
    deadline = time.monotonic() + timeout_seconds
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not reached after {timeout_seconds:.0f} s: {what}")
        time.sleep(poll_seconds)
    return result


def free_port() -> int:
    """Return a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _environment(variables: Mapping[str, str | None]) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CHAINRULE_")}
    return inherited | {f"CHAINRULE_{name}": value for name, value in variables.items() if value is not None}


def _run(command: str, environment: Mapping[str, str]) -> None:
    program = [sys.executable, "-m", "chainrule", command]
    subprocess.run(program, cwd=ROOT, env=environment, check=True, timeout=TIMEOUT_SECONDS)


def _start(command: str, environment: Mapping[str, str], output: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "chainrule", command],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # Ctrl-C reaches only this process, which ends them in order
    )


def _until_ready(process: subprocess.Popen[bytes], port: int, log: Path, *, worker: bool) -> None:
    def is_ready() -> bool:
        if process.poll() is not None:
            raise RuntimeError(f"the service ended at its start:\n{log.read_text(errors='replace')}")
        if worker:
            return "is ready" in log.read_text(errors="replace")
        try:
            with contextlib.closing(Client(port)) as client:
                return bool(client.get("/health/ready"))
        except (OSError, RuntimeError):
            return False

    until(is_ready, "the service is ready")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
