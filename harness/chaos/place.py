"""Where the rounds happen: a real API and real workers, embedded or on servers of their own behind cables to cut."""

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
from harness.processes import PATIENCE, ROOT, answers, forked_by, free_port

EMBEDDED, SERVERS, COMPOSE = "embedded", "servers", "compose"
LEASE = 3.0
SWEEP = 0.3
AMBUSHES = "CHAINRULE_CHAOS_AMBUSHES"
"""Names the folder of the ambushes to the processes."""
DISK = 256 * 2**20
"""Bytes of the small disk that can be filled."""


class Service(Protocol):
    """What every kind of place is: an API that answers somewhere, and parts that can be restarted."""

    kind: str
    lease: float
    """A worker's, in seconds."""
    parts: Sequence[str]
    small_disk: bool
    """Whether the data folder is a disk that can be filled."""

    @property
    def url(self) -> str:
        """Where the API answers."""

    def mend(self, workers: int) -> None:
        """Have everything run again, with so many workers."""

    def restart(self, part: str) -> None:
        """Tell a part to end, and start it again."""

    def until(self, look: Callable[[], object], what: str, seconds: float = PATIENCE) -> None:
        """Wait until this is so. Raises `NotSo`, with what the processes said."""

    def said(self, lines: int = 60) -> str:
        """The last that the processes said."""


class Place:
    """An API and workers of one kind, in one folder.

    Parameters
    ----------
    kind
        `EMBEDDED`: SQLite and folders; `SERVERS`: Postgres and Redis.
    folder
        Everything that is written is below.
    more
        Variables of the processes beside the place's own.
    """

    def __init__(self, kind: str, folder: Path, more: dict[str, str] | None = None) -> None:
        self.kind = kind
        self.lease = LEASE
        self.parts: Sequence[str] = ["worker", "api", *(["postgres", "redis"] if kind == SERVERS else [])]
        self.folder = folder
        self.small_disk = os.path.ismount(folder / "data")
        self.ambushes = folder / "ambushes"
        self.ambushes.mkdir()
        self.api: subprocess.Popen[bytes] | None = None
        self.workers: list[subprocess.Popen[bytes]] = []
        self.cables: list[Proxy] = []
        self.postgres: Postgres | None = None
        self.redis: Redis | None = None
        self._more = more or {}
        self._started: list[subprocess.Popen[bytes]] = []
        self.settings = Settings(data_dir=folder / "data", port=free_port(), workers=1, threads=2, lease_seconds=LEASE)
        self._direct = self.settings.resolved_database_url

    @property
    def url(self) -> str:
        """Where the API answers."""
        return f"http://127.0.0.1:{self.settings.port}"

    def open(self) -> Database:
        """Start everything; a door of the run's own to the database, past all cables."""
        self.settings.data_dir.mkdir(parents=True, exist_ok=True)
        if self.kind == SERVERS:
            self._open_servers()
        upgrade(self._direct)
        self.mend()
        return open_database(self._direct)

    def _open_servers(self) -> None:
        self.postgres = Postgres(self.folder / "postgres", {**os.environ, **self._more})
        self.redis = Redis(self.folder / "redis", dict(os.environ))
        self.postgres.start()
        self.redis.start()
        self.cables = [Proxy(self.postgres.port), Proxy(self.postgres.port), Proxy(self.redis.port)]
        self._direct = self.postgres.url

    @property
    def databases(self) -> tuple[Proxy, Proxy]:
        """The API's cable to the database, and the workers'."""
        return self.cables[0], self.cables[1]

    @property
    def broker(self) -> Proxy:
        """Everybody's cable to Redis."""
        return self.cables[2]

    @property
    def broker_url(self) -> str | None:
        """The broker's own address, past any cable; none where it is a folder."""
        return f"redis://127.0.0.1:{self.redis.port}/0" if self.redis else None

    @property
    def ballast(self) -> Path:
        """What fills the disk."""
        return self.settings.data_dir / "ballast"

    def mend(self, workers: int = 1) -> None:
        """Have everything run again: servers, cables, the disk, an API, and so many workers."""
        self.ballast.unlink(missing_ok=True)
        self.set_clock(0)
        for ambush in self.ambushes.iterdir():
            ambush.unlink()
        for server in (self.postgres, self.redis):
            if server is not None:
                server.start()
        for cable in self.cables:
            cable.open()
        if self.api is None or self.api.poll() is not None:
            self.start_api()
        self.workers = [process for process in self.workers if process.poll() is None]
        for process in self.workers[workers:]:
            process.terminate()
            process.wait(PATIENCE)
        self.workers = self.workers[:workers]
        while len(self.workers) < workers:
            self.start_worker()

    def restart(self, part: str) -> None:
        """Tell a part to end, and start it again; of several workers the first."""
        if part in {"postgres", "redis"}:
            server = self.postgres if part == "postgres" else self.redis
            assert server
            server.end(signal.SIGINT)
        else:
            process = self.workers[0] if part == "worker" else self.api
            assert process
            process.terminate()
            process.wait(60)
        self.mend(len(self.workers))

    def start_api(self) -> None:
        """An API that is ready."""
        process = self.api = self._start("api")
        self.until(lambda: answers(f"{self.url}/health/ready"), "the API is ready", process=process)

    def start_worker(self, *, wait: bool = True) -> subprocess.Popen[bytes]:
        """Another worker, ready unless nobody waits for that."""
        process = self._start("worker")
        self.workers.append(process)
        if wait:
            pulse = self.settings.data_dir / "workers" / f"{socket.gethostname()}-{process.pid}"
            self.until(pulse.exists, "the worker is ready", process=process)
        return process

    def _start(self, command: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{command}-{len(self._started)}.log").open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "harness.chaos.ambushed", command],
                cwd=ROOT,
                env=self._environment(command),
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
            "LEASE_SECONDS": LEASE,
            "LEASE_CHECK_SECONDS": SWEEP,
            "LOG_LEVEL": "warning" if command == "api" else "info",
        }
        if self.kind == SERVERS:
            cable = self.databases[command == "worker"]
            url = make_url(self._direct).set(port=cable.port, query={"application_name": command})
            variables["DATABASE_URL"] = url.render_as_string(hide_password=False)
            variables["BROKER_URL"] = f"redis://127.0.0.1:{self.broker.port}/0"
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("CHAINRULE_")}
        own = {f"CHAINRULE_{name}": str(value) for name, value in variables.items()}
        return inherited | own | {AMBUSHES: str(self.ambushes)} | self._more

    def set_clock(self, seconds: int) -> None:
        """Let the wall clock of everything here be so many seconds off, where it was started with one to set."""
        draft = self.folder / "clock.draft"
        draft.write_text(f"{seconds:+d}\n")
        draft.replace(self.folder / "clock")

    def lay(self, place: str, number: int, whom: str = "self") -> None:
        """Lay an ambush: this signal falls when a process next comes to this place in its code."""
        draft = self.folder / "ambush"
        draft.write_text(f"{number} {whom}")
        draft.rename(self.ambushes / place)

    def struck(self, place: str) -> bool:
        """Whether it fell."""
        return any(self.ambushes.glob(f"{place} * struck"))

    def until(
        self,
        look: Callable[[], object],
        what: str,
        seconds: float = PATIENCE,
        process: subprocess.Popen[bytes] | None = None,
    ) -> None:
        """Wait until this is so. Raises `NotSo`, with what the processes said."""
        deadline = time.monotonic() + seconds
        while not look():
            if time.monotonic() > deadline or (process and process.poll() is not None):
                raise NotSo(f"not so: {what}\n{self.said()}")
            time.sleep(0.01)

    def said(self, lines: int = 60) -> str:
        """The last that the processes said."""
        logs = sorted(self.folder.glob("*.log"), key=lambda log: log.stat().st_mtime)[-4:]
        return "\n".join("\n".join([f"--- {log.name}", *log.read_text().splitlines()[-lines:]]) for log in logs)

    def close(self) -> None:
        """End everything. What does not end when it is told to is killed, with a word."""
        running = [process for process in self._started if process.poll() is None]
        for process in running:
            process.send_signal(signal.SIGCONT)
            process.terminate()
        for process in running:
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                print(f"{process.args!r} did not end\n{self.said()}", file=sys.stderr)  # noqa: T201
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        for cable in self.cables:
            cable.close()
        for server in (self.postgres, self.redis):
            if server is not None:
                server.stop()


class NotSo(Exception):
    """What should have come has not."""


def children(process: subprocess.Popen[bytes]) -> list[int]:
    """The processes that this one has forked."""
    return forked_by(process.pid)


@contextmanager
def a_place(kind: str, folder: Path, more: dict[str, str] | None = None) -> Iterator[tuple[Service, Database]]:
    """A place that works, ended with the block; the door to its database beside it."""
    with ExitStack() as stack:
        folder.mkdir(mode=0o755)
        data = folder / "data"
        if kind == EMBEDDED and (release := _small_disk(data)):
            stack.callback(release)
        place = Place(kind, folder, more)
        stack.callback(place.close)
        database = place.open()
        stack.callback(database.close)
        yield place, database


def _small_disk(folder: Path) -> partial[object] | None:
    """Make the folder a small disk in memory, where this run may; how to give it back."""
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if not (mount and umount):
        return None
    folder.mkdir()
    done = subprocess.run(
        [mount, "-t", "tmpfs", "-o", f"size={DISK}", "chaos", folder], capture_output=True, check=False
    )
    if done.returncode:
        return None
    return partial(subprocess.run, [umount, "--lazy", folder], capture_output=True, check=False)
