"""Everything on one machine: the data folder, the database, an API and a worker, from one command to one Ctrl-C."""

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
from chainrule.instance_lock import CannotStart, claimed, free_port
from chainrule.terminal import keys
from core.settings import Settings
from worker.liveness import alive, liveness_folder

READY = 60.0
"""Seconds that API and worker may take to be ready."""
GRACE = 25.0
"""Seconds that they may take to end."""
TICK = 0.05
CODE = Path(__file__).parent.parent

console = Console(highlight=False)


def run(settings: Settings) -> int:
    """Run until a signal says to end; returns the exit code.

    Raises
    ------
    CannotStart
        with the reason, in one line.
    """
    with claimed(settings.data_dir), keys(), _signals() as wanted:
        port = free_port(settings.host, settings.port)
        environment = _environment(settings, port)
        _migrate(settings, environment)
        for pulse in liveness_folder(settings.data_dir).glob("*"):
            pulse.unlink()
        children = [Child("api", environment), Child("worker", environment)]
        try:
            if _ready(settings, port, children, wanted):
                _announce(settings, port)
                _keep(children, wanted)
        finally:
            _end(children, wanted)
    return 0


class Wanted:
    """How often the user has asked for the end."""

    def __init__(self) -> None:
        self.once = threading.Event()
        self.twice = threading.Event()

    def ask(self, _number: int, _frame: FrameType | None) -> None:
        """The handler of Ctrl-C and SIGTERM."""
        (self.twice if self.once.is_set() else self.once).set()


@contextmanager
def _signals() -> Iterator[Wanted]:
    wanted = Wanted()
    before = {number: signal.signal(number, wanted.ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield wanted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _migrate(settings: Settings, environment: Mapping[str, str]) -> None:
    """Migrate the database, unless this folder's own is known to be migrated: to look would cost a second."""
    known = settings.data_dir / "migrated"
    wanted = " ".join(sorted(file.name for file in (CODE / "migrations" / "versions").glob("*.py")))
    own = settings.database_url is None and (settings.data_dir / "chainrule.db").exists()
    if own and known.exists() and known.read_text() == wanted:
        return
    if run_once("migrate", environment):
        raise CannotStart("the database cannot be migrated; what was said stands above")
    known.write_text(wanted)


def _environment(settings: Settings, port: int) -> dict[str, str]:
    """The children's variables: ours, the port that was found, and where this program's code is."""
    path = os.pathsep.join(filter(None, [str(CODE), os.environ.get("PYTHONPATH")]))
    data = str(settings.data_dir.absolute())
    return {**os.environ, "CHAINRULE_PORT": str(port), "CHAINRULE_DATA_DIR": data, "PYTHONPATH": path}


def _ready(settings: Settings, port: int, children: list[Child], wanted: Wanted) -> bool:
    """Wait until API and worker answer; False where the user wants the end before that."""
    until = monotonic() + READY
    api = worker = False
    while not (api and worker):
        if wanted.once.wait(TICK):
            return False
        for child in children:
            if child.ended:
                raise CannotStart(f"the {child.command} ended at its start ({child.ended}); what it said stands above")
        if monotonic() > until:
            raise CannotStart(f"the {'worker' if api else 'api'} is not ready after {READY:g} s")
        api = api or _answers(f"{_address(settings, port)}/health/ready")
        worker = worker or alive(liveness_folder(settings.data_dir))
    return True


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=2) as answer:  # noqa: S310 - our own address
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


def _address(settings: Settings, port: int) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.host, settings.host)  # noqa: S104 - asked for
    return f"http://{host}:{port}"


def _announce(settings: Settings, port: int) -> None:
    address = _address(settings, port)
    console.print(
        f"[bold]Chainrule is ready.[/] Ctrl-C ends it.\n"
        f"  dashboard  {address}/\n"
        f"  docs       {address}/docs\n"
        f"  API        {address}/v1\n"
        f"  data       {settings.data_dir.absolute()}",
        soft_wrap=True,
    )


def _keep(children: list[Child], wanted: Wanted) -> None:
    """Start again what dies, until the user wants the end."""
    while not wanted.once.wait(TICK):
        for child in children:
            if said := child.watch():
                console.print(f"chainrule: {said}", style="red")


def _end(children: list[Child], wanted: Wanted) -> None:
    """Ask all to end, and wait; at the second wish, or when it takes too long, end them."""
    for child in children:
        child.terminate()
    until = monotonic() + GRACE
    while any(not child.ended for child in children) and not wanted.twice.is_set() and monotonic() < until:
        sleep(TICK)
    for child in children:
        child.kill()
