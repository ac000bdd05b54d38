"""`python -m benchmarks [name …]`: run the named benchmarks, or all of them and write `docs/benchmarks.md`."""

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from rich.console import Console

from benchmarks import (
    classifier,
    cost,
    forward,
    latency,
    listeners,
    memory,
    peak,
    prediction,
    running,
    startup,
    steps,
    stored,
)
from benchmarks.machine import busy, described
from benchmarks.outcome import Missing, Outcome
from benchmarks.tasks import curves, digits, language, numbers, scripts, speech, tabular
from harness.pages import replace_section

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
SPEED = (steps, cost, forward, classifier, startup, running, latency, prediction, memory, peak, listeners, stored)
"""`stored` runs last, as it writes a million rows: listeners on SQLite lag by 1.6 s after it, by 0.25 s without it."""
TASKS = (digits, tabular, curves, scripts, speech, numbers, language)
MEASURES: Mapping[str, Callable[[], Iterator[Outcome]]] = MappingProxyType(
    {module.__name__.rpartition(".")[2]: module.measure for module in (*SPEED, *TASKS)}
)
MET = {True: "yes", False: "**missed**", None: ""}


def main(names: list[str]) -> int:
    """Run benchmarks; return the exit code: 2 for an unknown name, 1 if something required is missing."""
    if unknown := set(names) - set(MEASURES):
        print(f"benchmarks: no {', '.join(sorted(unknown))}; there are {', '.join(MEASURES)}", file=sys.stderr)
        return 2
    machine = [*described(), ("Cores in use by others before the run", f"{busy():.0%}")]
    outcomes: list[Outcome] = []
    lacking = False
    console = Console(highlight=False, soft_wrap=True)
    for name in names or MEASURES:
        try:
            for outcome in MEASURES[name]():
                outcomes.append(outcome)
                console.print(f"{outcome.what}: {outcome.measured}  {outcome.must}  {MET[outcome.met]}", markup=False)
        except Missing as missing:
            lacking = lacking or missing.required
            outcomes.append(Outcome(f"{name}: skipped", str(missing)))
            console.print(str(missing), markup=False)
    if not names:
        replace_section(PAGE, "bench", _table(machine, outcomes))
    return int(lacking)


def _table(machine: list[tuple[str, str]], outcomes: list[Outcome]) -> str:
    rows = [f"| {one.what} | {one.must} | {one.measured} | {MET[one.met]} |" for one in outcomes]
    facts = [f"- {what}: {which}" for what, which in machine]
    return "\n".join(
        [
            *facts,
            "",
            "| what | must | measured | met |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
