"""The table that a chaos run prints, and the page it leaves in docs/chaos.md."""

import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version

from harness.chaos.place import LEASE
from harness.chaos.run import Row
from harness.chaos.servers import NoServer, newest_postgres
from harness.processes import ROOT

PAGE = ROOT / "docs" / "chaos.md"
HEAD = [
    "fault",
    "where",
    "rounds",
    "lost",
    "wrong states",
    "rows differ",
    "weights differ",
    "seconds (median)",
    "worst",
]
WORDS = """# What was done to the service, and what came of it

`make chaos` starts the real processes, embedded (SQLite, folders) and on a Postgres and a Redis of its own, and does to
them what the table says, at moments drawn from a seed; where Docker is, also to a compose deployment with two workers.
Each round trains one of three nets (dropout with Adam and a cosine schedule; batch normalization with momentum; early
stopping that restores its best weights; all shuffled, all with a validation split) and compares what it leaves with a
run that nothing happened to.

- **lost**: a job that was answered by 201 and did not end.
- **wrong states**: rounds in which it ended otherwise than it should, or in which a client was told what cannot be so:
  one asks every 20 ms all through the round (no way that is not allowed, no end that changes, no `running` whose worker
  has been silent for longer than its lease), one listens to the stream through all breaks (no gap, no double, no
  disorder).
- **rows differ**, **weights differ**: rounds in which a metric row or a bit of the weights was not that of the run that
  nothing happened to.
- **seconds**: from the fault until the job made its next row or ended, with what the fault itself lasted. A worker's
  lease is {lease:g} s here, and in compose what it is by default.
"""


def table(rows: Sequence[Row]) -> str:
    """The rows as Markdown."""
    lines = [HEAD, ["---", "---", *["---:"] * (len(HEAD) - 2)], *(row.cells() for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def write(rows: Sequence[Row], seed: int) -> None:
    """Write the page."""
    rounds, answers = sum(row.rounds for row in rows), sum(row.answers for row in rows)
    done = f"seed {seed}; {rounds:,} rounds, {answers:,} answers checked"
    facts = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC; {done}; {machine()}."
    PAGE.write_text(f"{WORDS.format(lease=LEASE)}\n{table(rows)}\n{facts}\n")


def machine() -> str:
    """Cores, kernel and versions."""
    try:
        said = subprocess.run([newest_postgres() / "postgres", "--version"], capture_output=True, text=True, check=True)
        postgres = said.stdout.split()[2]
    except NoServer:
        postgres = "none"
    redis = subprocess.run(["redis-server", "--version"], capture_output=True, text=True, check=False).stdout
    numbers = {
        "Python": platform.python_version(),
        "NumPy": version("numpy"),
        "Celery": version("celery"),
        "PostgreSQL": postgres,
        "Redis": redis.partition("v=")[2].partition(" ")[0],
    }
    versions = ", ".join(f"{name} {number}" for name, number in numbers.items())
    return f"{os.cpu_count()} cores, Linux {platform.release().partition('-')[0]}, {versions}"
