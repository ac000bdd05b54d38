"""All rounds of the selected faults, with the kinds of deployment in parallel."""

import os
import random
import statistics
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from core.store.database import Database
from harness.chaos.compose_deployment import compose_deployment, why_no_compose
from harness.chaos.deployment import COMPOSE, Deployment, NotReached, local_deployment
from harness.chaos.faults import FAULTS
from harness.chaos.faults.fault import Fault
from harness.chaos.rounds import JobResult, Round, Verdict, train_undisturbed

FAKETIME = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))

Log = Callable[[str], None]


@dataclass
class Row:
    """The results of one fault in one kind of deployment."""

    fault: str
    where: str
    rounds: int = 0
    lost: int = 0
    wrong: int = 0
    rows: int = 0
    weights: int = 0
    answers: int = 0
    seconds: list[float] = field(default_factory=list)
    skipped: str | None = None
    """Why no round was run."""

    def count(self, verdict: Verdict) -> None:
        """Add a round."""
        self.rounds += 1
        self.lost += verdict.lost
        self.wrong += bool(verdict.violations)
        self.rows += verdict.rows_differ
        self.weights += verdict.weights_differ
        self.answers += verdict.answers
        if verdict.seconds is not None:
            self.seconds.append(verdict.seconds)

    @property
    def passed(self) -> bool:
        """True if all rounds passed."""
        return not (self.lost or self.wrong or self.rows or self.weights)

    def cells(self) -> list[str]:
        """Return the cells of the table's row."""
        times = [f"{statistics.median(self.seconds):.2f}", f"{max(self.seconds):.2f}"] if self.seconds else ["", ""]
        if self.skipped:
            return [FAULTS[self.fault].description, self.where, f"0: {self.skipped}", "", "", "", "", "", ""]
        numbers = [self.rounds, self.lost, self.wrong, self.rows, self.weights]
        return [FAULTS[self.fault].description, self.where, *map(str, numbers), *times]


@dataclass
class Selection:
    """The rounds to run."""

    faults: Sequence[str]
    kinds: Sequence[str]
    rounds: Sequence[int]
    seed: int


class DeploymentPool:
    """A deployment that is started when needed, reused while rounds pass, and discarded when one fails."""

    def __init__(self, kind: str, folder: Path, *, faketime: bool) -> None:
        self.kind = kind
        self._folder = folder
        self._faketime = faketime
        self._stack = ExitStack()
        self._count = 0
        self._current: tuple[Deployment, Database, Mapping[str, JobResult]] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()

    def acquire(self, workers: int) -> tuple[Deployment, Database, Mapping[str, JobResult]]:
        """Return the repaired deployment with this number of workers, its database and undisturbed results."""
        if self._current is None:
            deployment, database = self._stack.enter_context(self._open())
            self._current = deployment, database, train_undisturbed(deployment, database)
        self._current[0].repair(workers)
        return self._current

    def discard(self) -> None:
        """End the deployment; the next `acquire` starts another."""
        self._current = None
        self._stack.close()

    def _open(self) -> AbstractContextManager[tuple[Deployment, Database]]:
        if self.kind == COMPOSE:
            return compose_deployment()
        self._count += 1
        folder = self._folder / f"{self.kind}-{'clock-' * self._faketime}{self._count}"
        return local_deployment(self.kind, folder, self._environment(folder))

    def _environment(self, folder: Path) -> dict[str, str]:
        if not self._faketime:
            return {}
        return {
            "LD_PRELOAD": str(FAKETIME[0]),
            "FAKETIME_TIMESTAMP_FILE": str(folder / "clock"),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }


def run(selection: Selection, log: Log, stop: threading.Event | None = None) -> list[Row]:
    """Run the selection round by round until `stop` is set, log each round, and return the rows of the table."""
    lock = threading.Lock()
    stopping = stop or threading.Event()

    def log_locked(text: str) -> None:
        with lock:
            log(text)

    with tempfile.TemporaryDirectory(prefix="chainrule-chaos-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        with ThreadPoolExecutor(len(selection.kinds)) as threads:
            parts = list(
                threads.map(lambda kind: _run_kind(kind, folder, selection, log_locked, stopping), selection.kinds)
            )
    order = list(FAULTS)
    return sorted((row for part in parts for row in part), key=lambda row: order.index(row.fault))


def _run_kind(kind: str, folder: Path, selection: Selection, log: Log, stop: threading.Event) -> list[Row]:
    rows = {name: Row(name, kind) for name in selection.faults if kind in FAULTS[name].where}
    with (
        DeploymentPool(kind, folder, faketime=False) as plain,
        DeploymentPool(kind, folder, faketime=True) as with_clock,
    ):
        for number in selection.rounds:
            for name, row in rows.items():
                if not stop.is_set():
                    pool = with_clock if FAULTS[name].faketime else plain
                    _run_or_skip(pool, row, selection, number, log)
    return list(rows.values())


def _run_or_skip(pool: DeploymentPool, row: Row, selection: Selection, number: int, log: Log) -> None:
    """Run a round, or log once why it cannot be run here."""
    fault = FAULTS[row.fault]
    if row.skipped:
        return
    if fault.faketime and not FAKETIME:
        row.skipped = "libfaketime is not installed"
    elif pool.kind == COMPOSE and (reason := why_no_compose()):
        row.skipped = reason
    elif row.fault.startswith("disk") and not pool.acquire(1)[0].small_disk:
        row.skipped = "a small disk cannot be mounted here"
    else:
        row.count(_run_round(pool, row.fault, fault, selection, number, log))
    log(" | ".join([row.fault, *row.cells()[1:]]))


def _run_round(pool: DeploymentPool, name: str, fault: Fault, selection: Selection, number: int, log: Log) -> Verdict:
    rng = random.Random(f"{selection.seed}:{name}:{pool.kind}:{number}")
    repeat = (
        f"CHAINRULE_CHAOS_SEED={selection.seed} python -m harness.chaos {name} --where {pool.kind} --round {number}"
    )
    try:
        deployment, database, undisturbed = pool.acquire(fault.workers)
    except NotReached as error:
        log(f"FAILED: the deployment does not start\n{error}\nrepeat with: {repeat}")
        pool.discard()
        return Verdict(violations=[str(error)])
    one = Round(deployment, database, undisturbed, rng, trusted_clock=not fault.faketime)
    try:
        fault.act(one)
        verdict = one.verify()
        if verdict.passed:
            httpx.delete(f"{deployment.url}/v1/jobs/{one.job_id}", timeout=60).raise_for_status()
    except Exception as error:  # any error fails this round, and the others continue
        verdict = Verdict(violations=[f"{type(error).__name__}: {error}"])
        if one.watcher is not None:
            one.watcher.stop(0.1)
    if not verdict.passed:
        _log_failure(deployment, one, verdict, repeat, log)
        pool.discard()
    return verdict


def _log_failure(deployment: Deployment, one: Round, verdict: Verdict, repeat: str, log: Log) -> None:
    facts = {"lost": verdict.lost, "rows differ": verdict.rows_differ, "weights differ": verdict.weights_differ}
    failures = ", ".join(name for name, failed in facts.items() if failed)
    violations = "\n".join(verdict.violations[:10])
    folder = os.environ.get("CHAINRULE_CHAOS_LOGS")
    logs = deployment.logs(400)
    if folder:
        file = Path(folder) / f"{repeat.split('chaos ')[1].replace(' ', '_')}.log"
        file.write_text(f"{one.network}\n{violations}\n{logs}")
    log(f"FAILED ({one.network}; {failures})\n{violations}\n{'' if folder else logs}\nrepeat with: {repeat}")
