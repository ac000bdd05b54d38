"""The table of a chaos run, printed and written into docs/reliability.md."""

import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version

from harness.chaos.run import Row
from harness.chaos.servers import NoServer, newest_postgres
from harness.pages import replace_section
from harness.processes import ROOT

PAGE = ROOT / "docs" / "reliability.md"
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


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a Markdown table."""
    lines = [HEAD, ["---", "---", *["---:"] * (len(HEAD) - 2)], *(row.cells() for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def write(rows: Sequence[Row], seed: int) -> None:
    """Write the table and the circumstances of the run into the page."""
    rounds, answers = sum(row.rounds for row in rows), sum(row.answers for row in rows)
    extent = f"seed {seed}; {rounds:,} rounds, {answers:,} answers checked"
    facts = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC; {extent}; {machine()}."
    replace_section(PAGE, "chaos", f"{table(rows)}\n{facts}")


def machine() -> str:
    """Return cores, kernel and versions."""
    try:
        result = subprocess.run(
            [newest_postgres() / "postgres", "--version"], capture_output=True, text=True, check=True
        )
        postgres = result.stdout.split()[2]
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
