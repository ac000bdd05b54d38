"""Deployments for chaos rounds: a real API and real workers, embedded or with servers behind network proxies."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Protocol

from sqlalchemy import make_url

from core.settings import Settings
from core.store.database import Database, open_database
from core.store.migrate import upgrade
from harness.chaos.proxy import Proxy
from harness.chaos.servers import Postgres, Redis
from harness.processes import ROOT, TIMEOUT_SECONDS, child_pids, free_port, is_ok
from harness.versions.trees import older_copy

EMBEDDED, SERVERS, COMPOSE = "embedded", "servers", "compose"
LEASE_SECONDS = 3.0
LEASE_CHECK_SECONDS = 0.3
FAULT_POINTS_VARIABLE = "CHAINRULE_CHAOS_FAULT_POINTS"
"""Environment variable with the folder of the armed fault points."""
SMALL_DISK_BYTES = 256 * 2**20
"""Size of the small disk that a fault can fill."""


class Deployment(Protocol):
    """An API and workers, whose parts can be restarted."""

    kind: str
    lease_seconds: float
    parts: Sequence[str]
    small_disk: bool
    """Whether the data folder is on a small disk that a fault can fill."""

    @property
    def url(self) -> str:
        """The API's address."""

    def repair(self, workers: int) -> None:
        """Restart whatever does not run, and have this number of workers."""

    def restart(self, part: str) -> None:
        """End a part with SIGTERM and start it again."""

    def until(self, condition: Callable[[], object], what: str, seconds: float = TIMEOUT_SECONDS) -> None:
        """Wait until the condition holds. Raises `NotReached` with the logs after `seconds`."""

    def logs(self, lines: int = 60) -> str:
        """Return the last lines of the logs."""


class LocalDeployment:
    """An API and workers of one kind, in one folder.

    Parameters
    ----------
    kind
        `EMBEDDED`: SQLite and folders; `SERVERS`: Postgres and Redis.
    folder
        Folder of all files.
    environment
        Additional environment variables of the processes.
    """

    def __init__(self, kind: str, folder: Path, environment: dict[str, str] | None = None) -> None:
        self.kind = kind
        self.lease_seconds = LEASE_SECONDS
        self.parts: Sequence[str] = ["worker", "api", *(["postgres", "redis"] if kind == SERVERS else [])]
        self.folder = folder
        self.small_disk = os.path.ismount(folder / "data")
        self.fault_points = folder / "fault_points"
        self.fault_points.mkdir()
        self.api: subprocess.Popen[bytes] | None = None
        self.workers: list[subprocess.Popen[bytes]] = []
        self.proxies: list[Proxy] = []
        self.postgres: Postgres | None = None
        self.redis: Redis | None = None
        self._extra_environment = environment or {}
        self._started: list[subprocess.Popen[bytes]] = []
        self.settings = Settings(
            data_dir=folder / "data", port=free_port(), workers=1, threads=2, lease_seconds=LEASE_SECONDS
        )
        self._database_url = self.settings.resolved_database_url

    @property
    def url(self) -> str:
        """The API's address."""
        return f"http://127.0.0.1:{self.settings.port}"

    def open(self) -> Database:
        """Start everything; return the database, connected without a proxy."""
        self.settings.data_dir.mkdir(parents=True, exist_ok=True)
        if self.kind == SERVERS:
            self._open_servers()
        upgrade(self._database_url)
        self.repair()
        return open_database(self._database_url)

    def _open_servers(self) -> None:
        self.postgres = Postgres(self.folder / "postgres", {**os.environ, **self._extra_environment})
        self.redis = Redis(self.folder / "redis", dict(os.environ))
        self.postgres.start()
        self.redis.start()
        self.proxies = [Proxy(self.postgres.port), Proxy(self.postgres.port), Proxy(self.redis.port)]
        self._database_url = self.postgres.url

    @property
    def database_proxies(self) -> tuple[Proxy, Proxy]:
        """The proxies between API and database, and between workers and database."""
        return self.proxies[0], self.proxies[1]

    @property
    def broker_proxy(self) -> Proxy:
        """The proxy before Redis."""
        return self.proxies[2]

    @property
    def broker_url(self) -> str | None:
        """The broker's address without a proxy; None for the embedded broker."""
        return f"redis://127.0.0.1:{self.redis.port}/0" if self.redis else None

    @property
    def filler(self) -> Path:
        """The file that fills the disk."""
        return self.settings.data_dir / "filler"

    def repair(self, workers: int = 1) -> None:
        """Undo all faults: free the disk, disarm fault points, run servers, API and this number of workers."""
        self.filler.unlink(missing_ok=True)
        self.set_clock(0)
        for point in self.fault_points.iterdir():
            point.unlink()
        for server in (self.postgres, self.redis):
            if server is not None:
                server.start()
        for proxy in self.proxies:
            proxy.open()
        if self.api is None or self.api.poll() is not None:
            self.start_api()
        self.workers = [process for process in self.workers if process.poll() is None]
        for process in self.workers[workers:]:
            process.terminate()
            process.wait(TIMEOUT_SECONDS)
        self.workers = self.workers[:workers]
        while len(self.workers) < workers:
            self.start_worker()

    def restart(self, part: str) -> None:
        """End a part with SIGTERM and start it again; of several workers the first."""
        if part in {"postgres", "redis"}:
            server = self.postgres if part == "postgres" else self.redis
            assert server
            server.end(signal.SIGINT)
        else:
            process = self.workers[0] if part == "worker" else self.api
            assert process
            process.terminate()
            process.wait(60)
        self.repair(len(self.workers))

    def start_api(self) -> None:
        """Start an API and wait until it is ready."""
        process = self.api = self._start("api")
        self.until(lambda: is_ok(f"{self.url}/health/ready"), "the API is ready", process=process)

    def start_worker(self, *, wait: bool = True) -> subprocess.Popen[bytes]:
        """Start another worker; with `wait`, wait until it is ready."""
        process = self._start("worker")
        self.workers.append(process)
        if wait:
            self._wait_for_worker(process)
        return process

    def start_older_worker(self) -> subprocess.Popen[bytes]:
        """Start a worker of an older version, which is not one of `workers`, and wait until it is ready."""
        tree = self.folder / "older"
        if not tree.exists():
            older_copy(tree)
        process = self._start("worker", tree, CHAINRULE_ALLOW_OLDER="1")
        self._wait_for_worker(process)
        return process

    def _wait_for_worker(self, process: subprocess.Popen[bytes]) -> None:
        liveness_file = self.settings.data_dir / "workers" / f"{socket.gethostname()}-{process.pid}"
        self.until(liveness_file.exists, "the worker is ready", process=process)

    def _start(self, command: str, root: Path = ROOT, **variables: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{command}-{len(self._started)}.log").open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "harness.chaos.fault_points", command],
                cwd=root,
                env=self._environment(command) | variables,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._started.append(process)
        return process

    def _environment(self, command: str) -> dict[str, str]:
        variables = {
            "DATA_DIR": self.settings.data_dir,
            "PORT": self.settings.port,
            "WORKERS": 1,
            "THREADS": 2,
            "LEASE_SECONDS": LEASE_SECONDS,
            "LEASE_CHECK_SECONDS": LEASE_CHECK_SECONDS,
            "LOG_LEVEL": "warning" if command == "api" else "info",
        }
        if self.kind == SERVERS:
            proxy = self.database_proxies[command == "worker"]
            url = make_url(self._database_url).set(port=proxy.port, query={"application_name": command})
            variables["DATABASE_URL"] = url.render_as_string(hide_password=False)
            variables["BROKER_URL"] = f"redis://127.0.0.1:{self.broker_proxy.port}/0"
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("CHAINRULE_")}
        own = {f"CHAINRULE_{name}": str(value) for name, value in variables.items()}
        return inherited | own | {FAULT_POINTS_VARIABLE: str(self.fault_points)} | self._extra_environment

    def set_clock(self, seconds: int) -> None:
        """Shift the wall clock of all processes, if they were started with libfaketime."""
        draft = self.folder / "clock.draft"
        draft.write_text(f"{seconds:+d}\n")
        draft.replace(self.folder / "clock")

    def arm(self, point: str, number: int, target: str = "self") -> None:
        """Arm a fault point: the next process that reaches it sends this signal to itself or to its parent."""
        draft = self.folder / "fault_point"
        draft.write_text(f"{number} {target}")
        draft.rename(self.fault_points / point)

    def triggered(self, point: str) -> bool:
        """Return whether a process has reached the fault point and sent its signal."""
        return any(self.fault_points.glob(f"{point} * triggered"))

    def until(
        self,
        condition: Callable[[], object],
        what: str,
        seconds: float = TIMEOUT_SECONDS,
        process: subprocess.Popen[bytes] | None = None,
    ) -> None:
        """Wait until the condition holds. Raises `NotReached` with the logs after `seconds`."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline or (process and process.poll() is not None):
                raise NotReached(f"not reached: {what}\n{self.logs()}")
            time.sleep(0.01)

    def logs(self, lines: int = 60) -> str:
        """Return the last lines of the four newest logs."""
        logs = sorted(self.folder.glob("*.log"), key=lambda log: log.stat().st_mtime)[-4:]
        return "\n".join("\n".join([f"--- {log.name}", *log.read_text().splitlines()[-lines:]]) for log in logs)

    def close(self) -> None:
        """End everything. Kill a process that does not end on SIGTERM, and report it."""
        running = [process for process in self._started if process.poll() is None]
        for process in running:
            process.send_signal(signal.SIGCONT)
            process.terminate()
        for process in running:
            try:
                process.wait(TIMEOUT_SECONDS)
            except subprocess.TimeoutExpired:
                print(f"{process.args!r} did not end\n{self.logs()}", file=sys.stderr)  # noqa: T201
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        for proxy in self.proxies:
            proxy.close()
        for server in (self.postgres, self.redis):
            if server is not None:
                server.stop()


class NotReached(Exception):
    """An expected condition was not reached in time."""


def children(process: subprocess.Popen[bytes]) -> list[int]:
    """Return the processes that this one has forked."""
    return child_pids(process.pid)


@contextmanager
def local_deployment(
    kind: str, folder: Path, environment: dict[str, str] | None = None
) -> Iterator[tuple[Deployment, Database]]:
    """Yield a running deployment and its database, and end it with the block."""
    with ExitStack() as stack:
        folder.mkdir(mode=0o755)
        data = folder / "data"
        if kind == EMBEDDED and (release := _small_disk(data)):
            stack.callback(release)
        deployment = LocalDeployment(kind, folder, environment)
        stack.callback(deployment.close)
        database = deployment.open()
        stack.callback(database.close)
        yield deployment, database


def _small_disk(folder: Path) -> partial[object] | None:
    """Mount a small disk in memory at the folder, if this user may; return a function that unmounts it."""
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if not (mount and umount):
        return None
    folder.mkdir()
    done = subprocess.run(
        [mount, "-t", "tmpfs", "-o", f"size={SMALL_DISK_BYTES}", "chaos", folder], capture_output=True, check=False
    )
    if done.returncode:
        return None
    return partial(subprocess.run, [umount, "--lazy", folder], capture_output=True, check=False)
