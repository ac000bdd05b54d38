"""Real processes for tests: an API and workers with their own port and data folder."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from urllib.error import URLError
from urllib.request import urlopen

from core.settings import Settings
from core.store.migrate import upgrade
from worker.liveness import alive, liveness_folder

ROOT = Path(__file__).parent.parent
TIMEOUT_SECONDS = 120.0
"""Longest wait for an expected condition. Only a failing test waits so long; a busy machine needs minutes."""

Result = TypeVar("Result")


@dataclass
class Processes:
    """Processes of one test, with the same settings.

    Attributes
    ----------
    folder
        Folder of the output files, one per process.
    settings
        Settings of all processes.
    environment
        Environment variables of all processes.
    started
        All processes in the order of their start, ended ones included.
    root
        The tree whose program they run.
    """

    folder: Path
    settings: Settings
    environment: dict[str, str]
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)
    root: Path = ROOT

    @property
    def url(self) -> str:
        """The address of the API."""
        return f"http://{self.settings.host}:{self.settings.port}"

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        """Start `chainrule <command>`, with its output in a file."""
        with (self.folder / f"{command[0]}-{len(self.started)}.log").open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "chainrule", *command],
                cwd=self.root,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.started.append(process)
        return process

    def start_api(self) -> subprocess.Popen[bytes]:
        """Start an API and wait until it is ready."""
        process = self.start("api")
        self.until(lambda: is_ok(f"{self.url}/health/ready"), "the API is ready", process)
        return process

    def start_worker(self) -> subprocess.Popen[bytes]:
        """Start a worker and wait until it is ready."""
        process = self.start("worker")
        name = f"{socket.gethostname()}-{process.pid}"
        folder = liveness_folder(self.settings.data_dir)
        self.until(lambda: (folder / name).exists() and alive(folder), "the worker is ready", process)
        return process

    def of_version(self, root: Path, folder: Path, **variables: str) -> "Processes":
        """Return an interface to processes of another tree with the same settings, and an API at another port."""
        port = free_port()
        folder.mkdir()
        return Processes(
            folder,
            self.settings.model_copy(update={"port": port}),
            self.environment | {"CHAINRULE_PORT": str(port)} | variables,
            root=root,
        )

    def until(
        self, condition: Callable[[], Result], what: str, process: subprocess.Popen[bytes] | None = None
    ) -> Result:
        """Return the first true result of `condition`.

        Raises
        ------
        AssertionError
            The condition did not hold in `TIMEOUT_SECONDS`, or `process` ended. It has the output of all processes.
        """
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while not (result := condition()):
            if time.monotonic() > deadline or (process and process.poll() is not None):
                raise AssertionError(f"not reached: {what}\n{self.output()}")
            time.sleep(0.02)
        return result

    def output(self) -> str:
        """Return the output of all processes."""
        return "\n".join(f"--- {log.name}\n{log.read_text()}" for log in sorted(self.folder.glob("*.log")))

    def stop(self) -> None:
        """End all processes that still run, and their children."""
        for process in self.started:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.started:
            try:
                process.wait(TIMEOUT_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                raise AssertionError(f"{process.args!r} did not end\n{self.output()}") from None


@contextmanager
def processes(folder: Path, **settings: object) -> Iterator[Processes]:
    """Yield an interface to processes on a migrated database, and end them with the block.

    `settings` are fields of `Settings`. By default the database is SQLite in `folder`.
    """
    with unmigrated_processes(folder, **settings) as running:
        upgrade(running.settings.resolved_database_url)
        yield running


@contextmanager
def unmigrated_processes(folder: Path, **settings: object) -> Iterator[Processes]:
    """Do the same as `processes` with a database that has no tables."""
    fields = {"data_dir": folder / "data", "port": free_port(), "workers": 1, "threads": 1, "lease_check_seconds": 0.5}
    fields |= {name: value for name, value in settings.items() if value is not None}
    variables = {f"CHAINRULE_{name.upper()}": str(value) for name, value in fields.items()}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CHAINRULE_")}
    common = Settings(**fields)  # type: ignore[arg-type]  # Settings checks them
    common.data_dir.mkdir(parents=True, exist_ok=True)
    running = Processes(folder, common, inherited | variables)
    with ExitStack() as stack:
        stack.callback(running.stop)
        yield running


@contextmanager
def service(folder: Path, **settings: object) -> Iterator[Processes]:
    """Start an API and a worker, and yield when both are ready."""
    with processes(folder, **settings) as running:
        running.start_api()
        running.start_worker()
        yield running


def child_pids(pid: int) -> list[int]:
    """Return the process ids of a process's children, whichever of its threads forked them; none if it has ended."""
    pids = []
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            pids += [int(child) for child in children.read_text().split()]
    return sorted(pids)


def free_port() -> int:
    """Return a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_ok(url: str) -> bool:
    """Return whether a GET is answered with status 200."""
    try:
        with urlopen(url, timeout=5) as response:
            return bool(response.status == 200)
    except (URLError, OSError):
        return False
