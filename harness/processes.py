"""Real processes for tests: an API and workers on a free port and in a folder of their own, ended with the block."""

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
PATIENCE = 30.0
"""Seconds after which what should have happened has not."""

Answer = TypeVar("Answer")


@dataclass
class Processes:
    """What runs for a test.

    `settings` are those of all the processes; the output of each is in `folder`.
    """

    folder: Path
    settings: Settings
    environment: dict[str, str]
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where the API answers."""
        return f"http://{self.settings.host}:{self.settings.port}"

    def start(self, *command: str) -> subprocess.Popen[bytes]:
        """`chainrule <command>`, with its output in a file."""
        with (self.folder / f"{command[0]}-{len(self.started)}.log").open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "chainrule", *command],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.started.append(process)
        return process

    def start_api(self) -> subprocess.Popen[bytes]:
        """An API that is ready."""
        process = self.start("api")
        self.until(lambda: answers(f"{self.url}/health/ready"), "the API is ready", process)
        return process

    def start_worker(self) -> subprocess.Popen[bytes]:
        """A worker that is ready."""
        process = self.start("worker")
        name = f"{socket.gethostname()}-{process.pid}"
        folder = liveness_folder(self.settings.data_dir)
        self.until(lambda: (folder / name).exists() and alive(folder), "the worker is ready", process)
        return process

    def until(self, look: Callable[[], Answer], what: str, process: subprocess.Popen[bytes] | None = None) -> Answer:
        """What `look` answers, as soon as that is true; fails with everything the processes said."""
        deadline = time.monotonic() + PATIENCE
        while not (answer := look()):
            if time.monotonic() > deadline or (process and process.poll() is not None):
                raise AssertionError(f"not so: {what}\n{self.said()}")
            time.sleep(0.02)
        return answer

    def said(self) -> str:
        """The output of all the processes."""
        return "\n".join(f"--- {log.name}\n{log.read_text()}" for log in sorted(self.folder.glob("*.log")))

    def stop(self) -> None:
        """End whatever still runs, with all its children."""
        for process in self.started:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.started:
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                raise AssertionError(f"{process.args!r} did not end\n{self.said()}") from None


@contextmanager
def processes(folder: Path, **settings: object) -> Iterator[Processes]:
    """Processes over a migrated database; `settings` are fields of `Settings`, by default all embedded in `folder`."""
    chosen = {"data_dir": folder / "data", "port": free_port(), "workers": 1, "threads": 1, "lease_check_seconds": 0.5}
    chosen |= {name: value for name, value in settings.items() if value is not None}
    variables = {f"CHAINRULE_{name.upper()}": str(value) for name, value in chosen.items()}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CHAINRULE_")}
    described = Settings(**chosen)  # type: ignore[arg-type]  # checked as they are read
    described.data_dir.mkdir(parents=True, exist_ok=True)
    upgrade(described.resolved_database_url)
    running = Processes(folder, described, inherited | variables)
    with ExitStack() as stack:
        stack.callback(running.stop)
        yield running


@contextmanager
def service(folder: Path, **settings: object) -> Iterator[Processes]:
    """An API and a worker that are ready."""
    with processes(folder, **settings) as running:
        running.start_api()
        running.start_worker()
        yield running


def forked_by(pid: int) -> list[int]:
    """The processes that this one has forked, from whichever of its threads; none where it has ended."""
    found = []
    for forked in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            found += [int(child) for child in forked.read_text().split()]
    return sorted(found)


def free_port() -> int:
    """A port that nothing listened on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(url: str) -> bool:
    """Whether a GET succeeds."""
    try:
        with urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False
