"""`chainrule up`: database, API and worker on one machine, from one command until Ctrl-C."""

import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from types import FrameType
from urllib.error import URLError
from urllib.request import urlopen

from rich.console import Console

from chainrule.child_process import Child, run_once
from chainrule.instance_lock import CannotStart, free_port, locked_folder
from chainrule.terminal import foreground
from core.settings import Settings
from worker.liveness import alive, liveness_folder

READY_SECONDS = 60.0
"""Seconds that API and worker may take to be ready."""
GRACE_SECONDS = 25.0
"""Seconds that they may take to end."""
POLL_SECONDS = 0.05
CODE = Path(__file__).parent.parent

console = Console(highlight=False)


def run(settings: Settings) -> int:
    """Run until a signal asks for the end; return the exit code.

    Raises
    ------
    CannotStart
        With the reason in one line.
    """
    with locked_folder(settings.data_dir), foreground(), _stop_signals() as stop:
        port = free_port(settings.host, settings.port)
        environment = _environment(settings, port)
        _migrate(settings, environment)
        for file in liveness_folder(settings.data_dir).glob("*"):
            file.unlink()
        children = [Child("api", environment), Child("worker", environment)]
        try:
            if _ready(settings, port, children, stop):
                _announce(settings, port)
                _supervise(children, stop)
        finally:
            _end(children, stop)
    return 0


class StopSignals:
    """Count of the user's stop signals: the first ends the processes, the second kills them."""

    def __init__(self) -> None:
        self.once = threading.Event()
        self.twice = threading.Event()

    def ask(self, _number: int, _frame: FrameType | None) -> None:
        """Handle Ctrl-C and SIGTERM."""
        (self.twice if self.once.is_set() else self.once).set()


@contextmanager
def _stop_signals() -> Iterator[StopSignals]:
    stop = StopSignals()
    before = {number: signal.signal(number, stop.ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _migrate(settings: Settings, environment: Mapping[str, str]) -> None:
    """Migrate the database, unless the folder's own is known to be up to date: a check would take a second."""
    marker = settings.data_dir / "migrated"
    versions = " ".join(sorted(file.name for file in (CODE / "migrations" / "versions").glob("*.py")))
    own = settings.database_url is None and (settings.data_dir / "chainrule.db").exists()
    if own and marker.exists() and marker.read_text() == versions:
        return
    if run_once("migrate", environment):
        raise CannotStart("the database cannot be migrated; see the messages above")
    marker.write_text(versions)


def _environment(settings: Settings, port: int) -> dict[str, str]:
    """Return the children's environment: this one, with the port, the data folder and the path of the code."""
    path = os.pathsep.join(filter(None, [str(CODE), os.environ.get("PYTHONPATH")]))
    data = str(settings.data_dir.absolute())
    return {**os.environ, "CHAINRULE_PORT": str(port), "CHAINRULE_DATA_DIR": data, "PYTHONPATH": path}


def _ready(settings: Settings, port: int, children: list[Child], stop: StopSignals) -> bool:
    """Wait until API and worker are ready; return False if the user asks for the end before that."""
    until = monotonic() + READY_SECONDS
    api = worker = False
    while not (api and worker):
        if stop.once.wait(POLL_SECONDS):
            return False
        for child in children:
            if child.ended:
                raise CannotStart(f"the {child.command} ended while starting ({child.ended}); see its messages above")
        if monotonic() > until:
            raise CannotStart(f"the {'worker' if api else 'api'} is not ready after {READY_SECONDS:g} s")
        api = api or _answers(f"{_address(settings, port)}/health/ready")
        worker = worker or alive(liveness_folder(settings.data_dir))
    return True


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=2) as answer:  # noqa: S310 - the service's own address
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


def _address(settings: Settings, port: int) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.host, settings.host)  # noqa: S104 - the user asked for it
    return f"http://{host}:{port}"


def _announce(settings: Settings, port: int) -> None:
    address = _address(settings, port)
    console.print(
        f"[bold]Chainrule is ready.[/] Press Ctrl-C to stop it.\n"
        f"  dashboard  {address}/\n"
        f"  docs       {address}/docs\n"
        f"  API        {address}/v1\n"
        f"  data       {settings.data_dir.absolute()}",
        soft_wrap=True,
    )


def _supervise(children: list[Child], stop: StopSignals) -> None:
    """Restart children that die, until the user asks for the end."""
    while not stop.once.wait(POLL_SECONDS):
        for child in children:
            if message := child.restart_if_dead():
                console.print(f"chainrule: {message}", style="red")


def _end(children: list[Child], stop: StopSignals) -> None:
    """Ask all children to end and wait; kill them at the second signal or after `GRACE_SECONDS`."""
    if stop.once.is_set():
        console.print("Chainrule is ending: running jobs save their state. Press Ctrl-C again to end at once.")
    for child in children:
        child.terminate()
    until = monotonic() + GRACE_SECONDS
    while any(not child.ended for child in children) and not stop.twice.is_set() and monotonic() < until:
        sleep(POLL_SECONDS)
    for child in children:
        child.kill()
