"""The table of the load test: the figures of each attack beside what it must not exceed."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from harness.chaos.report import machine
from harness.load.attack import Extent, Must
from harness.load.bystanders import Latency
from harness.load.client import CLOSED, NO_ANSWER, UNBOUNDED
from harness.load.run import Result
from harness.pages import replace_section
from harness.processes import ROOT

PAGE = ROOT / "docs" / "reliability.md"
HEAD = [
    "attack",
    "answers",
    "largest answer (kB)",
    "slowest answer (s)",
    "`/health/live`: p50, p99, max (ms)",
    "`GET` job: p50, p99, max (ms)",
    "stream's gap (s)",
    "API's memory: before, peak, after (MB)",
]
STATUS_WORDS = {NO_ANSWER: "no answer", CLOSED: "closed", UNBOUNDED: "unbounded"}


@dataclass(frozen=True)
class Figure:
    """One cell: its text, and whether it misses what it must be."""

    text: str
    missed: bool = False

    def __str__(self) -> str:
        """Return the cell, bold if it misses."""
        return f"**{self.text}**" if self.missed else self.text


def figures(result: Result) -> list[Figure]:
    """Return the cells of an attack, without its name."""
    must, seen, answers = result.attack.must, result.seen, result.answers
    size, slowest = (max((getattr(one, name) for one in answers), default=0) for name in ("bytes", "seconds"))
    return [
        _answers(result, must),
        _bounded(f"{size / 1e3:,.0f}", size, must.answer_bytes, f"{must.answer_bytes / 1e3:,.0f}")
        if answers
        else Figure(""),
        _bounded(f"{slowest:.1f}", slowest, must.seconds, f"{must.seconds}") if answers else Figure(""),
        _latency(seen.health, must.health_p99),
        _latency(seen.job, must.job_p99),
        _bounded(f"{seen.stream_gap:.1f}", seen.stream_gap, must.stream_gap, f"{must.stream_gap:g}"),
        _memory(result, must),
    ]


def missed(result: Result) -> bool:
    """Return whether a figure of the attack misses what it must be."""
    return any(figure.missed for figure in figures(result))


def table(results: Sequence[Result]) -> str:
    """Return the results as a Markdown table."""
    return _table({result.attack.name: _row(result) for result in results})


def write(results: Sequence[Result], extent: Extent) -> None:
    """Write the table and the circumstances of the run into the page."""
    rows = {result.attack.name: _row(result) for result in results}
    facts = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC; {extent.database}; {machine()}."
    _write(rows, facts)


def write_again(results: Sequence[Result]) -> None:
    """Replace the rows of some attacks in the page's table, and say when they were measured."""
    text = PAGE.read_text(encoding="utf-8").partition("<!-- load -->")[2].partition("<!-- /load -->")[0]
    lines = [line for line in text.splitlines() if line.startswith("| ")][2:]
    rows = {line.split(" | ")[0].removeprefix("| "): line for line in lines}
    facts = text.strip().splitlines()[-1]
    names = "; ".join(result.attack.name for result in results)
    again = f"Measured again at {datetime.now(UTC):%H:%M}: {names}."
    _write(rows | {result.attack.name: _row(result) for result in results}, f"{facts} {again}")


def _write(rows: Mapping[str, str], facts: str) -> None:
    count = sum("**" in row for row in rows.values())
    verdict = (
        f"{count} of {len(rows)} attacks miss a figure." if count else f"None of {len(rows)} attacks misses a figure."
    )
    replace_section(PAGE, "load", f"{_table(rows)}\n{verdict}\n\n{facts}")


def _table(rows: Mapping[str, str]) -> str:
    head = [f"| {' | '.join(line)} |" for line in (HEAD, ["---", "---", *["---:"] * (len(HEAD) - 2)])]
    return "".join(f"{line}\n" for line in (*head, *rows.values()))


def _row(result: Result) -> str:
    return f"| {' | '.join([result.attack.name, *map(str, figures(result))])} |"


def _answers(result: Result, must: Must) -> Figure:
    counts = Counter(answer.status for answer in result.answers)
    text = ", ".join(f"{count} × {STATUS_WORDS.get(status, status)}" for status, count in sorted(counts.items()))
    refused = not must.refused or bool(set(must.refused) & set(counts))
    return Figure(text, not (refused and set(counts) <= set(must.statuses)))


def _bounded(text: str, value: float, limit: float | None, limit_text: str) -> Figure:
    return Figure(text) if limit is None else Figure(f"{text} (≤ {limit_text})", value > limit)


def _latency(latency: Latency, limit: float) -> Figure:
    text = f"{latency.p50:.0f}, {latency.p99:.0f}, {latency.max:.0f} (p99 ≤ {limit:g})"
    if latency.failed:
        text += f", {latency.failed} failed"
    return Figure(text, latency.p99 > limit or latency.failed > 0)


def _memory(result: Result, must: Must) -> Figure:
    before, peak, after = result.seen.megabytes_before, result.seen.megabytes_peak, result.megabytes_after
    text = f"{before:.0f}, {peak:.0f}, {after:.0f} (≤ +{must.growth:g}, +{must.kept:g})"
    return Figure(text, peak > before + must.growth or after > before + must.kept)
