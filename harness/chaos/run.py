"""All rounds of the faults that were chosen: the two kinds of place beside each other, fault by fault."""

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
from harness.chaos.composed import a_deployment, no_compose
from harness.chaos.faults import FAULTS
from harness.chaos.faults.fault import Fault
from harness.chaos.place import COMPOSE, NotSo, Service, a_place
from harness.chaos.rounds import End, Round, Verdict, undisturbed

FAKETIME = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))

Say = Callable[[str], None]


@dataclass
class Row:
    """What came of one fault in one kind of place."""

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
    """Why there was no round."""

    def count(self, verdict: Verdict) -> None:
        """Add a round."""
        self.rounds += 1
        self.lost += verdict.lost
        self.wrong += bool(verdict.lies)
        self.rows += verdict.rows_differ
        self.weights += verdict.weights_differ
        self.answers += verdict.answers
        if verdict.seconds is not None:
            self.seconds.append(verdict.seconds)

    @property
    def right(self) -> bool:
        """Whether nothing was wrong."""
        return not (self.lost or self.wrong or self.rows or self.weights)

    def cells(self) -> list[str]:
        """The row of the table."""
        times = [f"{statistics.median(self.seconds):.2f}", f"{max(self.seconds):.2f}"] if self.seconds else ["", ""]
        if self.skipped:
            return [FAULTS[self.fault].words, self.where, f"0: {self.skipped}", "", "", "", "", "", ""]
        numbers = [self.rounds, self.lost, self.wrong, self.rows, self.weights]
        return [FAULTS[self.fault].words, self.where, *map(str, numbers), *times]


@dataclass
class Chosen:
    """Which rounds to run."""

    faults: Sequence[str]
    places: Sequence[str]
    rounds: Sequence[int]
    seed: int


class Ground:
    """A place that is started when it is needed, used again while all is well, and left when something is not."""

    def __init__(self, kind: str, folder: Path, *, faketime: bool) -> None:
        self.kind = kind
        self._folder = folder
        self._faketime = faketime
        self._stack = ExitStack()
        self._count = 0
        self._at: tuple[Service, Database, Mapping[str, End]] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()

    def at(self, workers: int) -> tuple[Service, Database, Mapping[str, End]]:
        """The place, mended, with so many workers; its database; and what happens there undisturbed."""
        if self._at is None:
            place, database = self._stack.enter_context(self._place())
            self._at = place, database, undisturbed(place, database)
        self._at[0].mend(workers)
        return self._at

    def _place(self) -> AbstractContextManager[tuple[Service, Database]]:
        if self.kind == COMPOSE:
            return a_deployment()
        self._count += 1
        folder = self._folder / f"{self.kind}-{'clock-' * self._faketime}{self._count}"
        return a_place(self.kind, folder, self._variables(folder))

    def leave(self) -> None:
        """End what is there; another is made when one is needed."""
        self._at = None
        self._stack.close()

    def _variables(self, folder: Path) -> dict[str, str]:
        if not self._faketime:
            return {}
        return {
            "LD_PRELOAD": str(FAKETIME[0]),
            "FAKETIME_TIMESTAMP_FILE": str(folder / "clock"),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }


def run(chosen: Chosen, say: Say, enough: threading.Event | None = None) -> list[Row]:
    """Run them, round by round, until `enough`, and tell of each; the rows of the table."""
    lock = threading.Lock()

    def tell(text: str) -> None:
        with lock:
            say(text)

    with tempfile.TemporaryDirectory(prefix="chainrule-chaos-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        over = enough or threading.Event()
        with ThreadPoolExecutor(len(chosen.places)) as pool:
            parts = list(pool.map(lambda kind: _run_at(kind, folder, chosen, tell, over), chosen.places))
    order = list(FAULTS)
    return sorted((row for part in parts for row in part), key=lambda row: order.index(row.fault))


def _run_at(kind: str, folder: Path, chosen: Chosen, say: Say, over: threading.Event) -> list[Row]:
    rows = {name: Row(name, kind) for name in chosen.faults if kind in FAULTS[name].where}
    with (
        Ground(kind, folder, faketime=False) as plain,
        Ground(kind, folder, faketime=True) as with_clock,
    ):
        for number in chosen.rounds:
            for name, row in rows.items():
                if not over.is_set():
                    ground = with_clock if FAULTS[name].faketime else plain
                    _count(ground, row, chosen, number, say)
    return list(rows.values())


def _count(ground: Ground, row: Row, chosen: Chosen, number: int, say: Say) -> None:
    """Run a round, or say once why it cannot be run here."""
    fault = FAULTS[row.fault]
    if row.skipped:
        return
    if fault.faketime and not FAKETIME:
        row.skipped = "libfaketime is not installed"
    elif ground.kind == COMPOSE and (reason := no_compose()):
        row.skipped = reason
    elif row.fault.startswith("disk") and not ground.at(1)[0].small_disk:
        row.skipped = "a small disk cannot be mounted here"
    else:
        row.count(_round(ground, row.fault, fault, chosen, number, say))
    say(" | ".join([row.fault, *row.cells()[1:]]))


def _round(ground: Ground, name: str, fault: Fault, chosen: Chosen, number: int, say: Say) -> Verdict:
    chance = random.Random(f"{chosen.seed}:{name}:{ground.kind}:{number}")
    again = f"CHAINRULE_CHAOS_SEED={chosen.seed} python -m harness.chaos {name} --where {ground.kind} --round {number}"
    try:
        place, database, ends = ground.at(fault.workers)
    except NotSo as error:
        say(f"WRONG: nothing starts\n{error}\nrepeat it with: {again}")
        ground.leave()
        return Verdict(lies=[str(error)])
    one = Round(place, database, ends, chance, trusted_clock=not fault.faketime)
    try:
        fault.act(one)
        verdict = one.judge()
        if verdict.right:
            httpx.delete(f"{place.url}/v1/jobs/{one.job_id}", timeout=60).raise_for_status()
    except Exception as error:  # whatever it is, it belongs to this round, and the others go on
        verdict = Verdict(lies=[f"{type(error).__name__}: {error}"])
        if one.watch is not None:
            one.watch.stop(0.1)
    if not verdict.right:
        _tell_wrong(place, one, verdict, again, say)
        ground.leave()
    return verdict


def _tell_wrong(place: Service, one: Round, verdict: Verdict, again: str, say: Say) -> None:
    facts = {"lost": verdict.lost, "rows differ": verdict.rows_differ, "weights differ": verdict.weights_differ}
    wrong = ", ".join(fact for fact, so in facts.items() if so)
    lies = "\n".join(verdict.lies[:10])
    kept = os.environ.get("CHAINRULE_CHAOS_LOGS")
    said = place.said(400)
    if kept:
        (Path(kept) / f"{again.split('chaos ')[1].replace(' ', '_')}.log").write_text(f"{one.net}\n{lies}\n{said}")
    say(f"WRONG ({one.net}; {wrong})\n{lies}\n{said if not kept else ''}\nrepeat it with: {again}")
