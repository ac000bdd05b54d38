"""Postgres and Redis servers of the chaos run, from the machine's binaries, on free ports."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg
import redis

from harness.processes import free_port

TIMEOUT_SECONDS = 60.0
ACCOUNT = "postgres"
"""User of the server if the run is root's, as which Postgres refuses to start."""


class NoServer(Exception):
    """The server's program is not installed, or does not start."""


class Server:
    """A server program that can be ended by a signal and started again on the same port and data."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.port = free_port()
        self._environment = dict(environment)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server unless it runs, and wait until it is ready."""
        if self._process is None or self._process.poll() is not None:
            with (self.folder / "server.log").open("ab") as log:
                self._process = self._spawn(log.fileno())
        until = time.monotonic() + TIMEOUT_SECONDS
        while not self.is_ready():
            if self._process.poll() is not None or time.monotonic() > until:
                raise NoServer(f"{self!r} does not start: {(self.folder / 'server.log').read_text()[-2000:]}")
            time.sleep(0.05)

    def end(self, number: int) -> None:
        """End the server by a signal, and wait for it."""
        if self._process is not None:
            if self._process.poll() is None:
                self._process.send_signal(number)
            self._process.wait(TIMEOUT_SECONDS)

    def stop(self) -> None:
        """End the server at the end of the run."""
        self.end(signal.SIGKILL)

    def is_ready(self) -> bool:
        """Return whether the server accepts connections."""
        raise NotImplementedError

    def _spawn(self, log: int) -> subprocess.Popen[bytes]:
        raise NotImplementedError


class Redis(Server):
    """Redis without persistence."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        if shutil.which("redis-server") is None:
            raise NoServer("redis-server is not installed")
        super().__init__(folder, environment)
        folder.mkdir()

    @property
    def client(self) -> redis.Redis:
        """A client without a proxy."""
        return redis.Redis(port=self.port, socket_connect_timeout=2, socket_timeout=2)

    def is_ready(self) -> bool:
        try:
            with self.client as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def _spawn(self, log: int) -> subprocess.Popen[bytes]:
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        return subprocess.Popen(
            command, cwd=self.folder, env=self._environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )


class Postgres(Server):
    """Postgres with a data folder of its own, without passwords."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._bin = newest_postgres()
        super().__init__(folder, environment)
        folder.mkdir()
        if os.getuid() == 0:
            shutil.chown(folder, ACCOUNT, ACCOUNT)
        made = subprocess.run(
            [self._bin / "initdb", "-D", folder / "data", "-U", ACCOUNT, "-A", "trust", "-E", "UTF8", "--no-sync"],
            capture_output=True, text=True, check=False, cwd=folder, **_account(),
        )  # fmt: skip
        if made.returncode:
            raise NoServer(f"initdb: {made.stderr}")

    @property
    def url(self) -> str:
        """The server's address without a proxy."""
        return f"postgresql://{ACCOUNT}@127.0.0.1:{self.port}/postgres"

    def terminate(self, name: str = "%") -> None:
        """Terminate the connections of programs whose name matches; all by default."""
        with psycopg.connect(self.url, autocommit=True) as admin:
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND application_name LIKE %s",
                [name],
            )

    def is_ready(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def stop(self) -> None:
        self.end(signal.SIGQUIT)

    def _spawn(self, log: int) -> subprocess.Popen[bytes]:
        # The run does not test power failures, so commits need not wait for the disk.
        options = ["-p", str(self.port), "-k", "", "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]
        return subprocess.Popen(
            [self._bin / "postgres", "-D", self.folder / "data", *options],
            cwd=self.folder, env=self._environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **_account(),
        )  # fmt: skip


def newest_postgres() -> Path:
    """Return the program folder of the newest Postgres. Raises `NoServer` if there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if not found:
        raise NoServer("no /usr/lib/postgresql/*/bin/postgres is installed")
    return found[-1].parent


def _account() -> dict[str, Any]:
    return {"user": ACCOUNT, "group": ACCOUNT, "extra_groups": []} if os.getuid() == 0 else {}
