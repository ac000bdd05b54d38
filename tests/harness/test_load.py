"""A short load test of a few attacks, and the table that names missed figures."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.load import report
from harness.load.attack import SHORT, Attack, Must
from harness.load.attacks import ATTACKS
from harness.load.bystanders import Latency, Observations, Probe
from harness.load.client import CLOSED, NO_ANSWER, Answer
from harness.load.run import Result, run

SHORT_RUNS = {
    "sqlite": ["1,000,000 wrong layers in 2 MB", "800 half heads"],
    "postgres": ["queued small jobs, 8 clients"],
}


SETTINGS = {"max_queued": 10, "client_seconds": 2}
"""So that a short run reaches the limits."""


@pytest.mark.parametrize("database", SHORT_RUNS)
def test_short_run_measures_attacks_and_bystanders(database: str) -> None:
    extent = replace(SHORT, database=database)
    attacks = [replace(ATTACKS[name], settings=SETTINGS) for name in SHORT_RUNS[database]]
    results = run(attacks, extent)
    table = report.table(results)
    assert [result.attack.name for result in results] == SHORT_RUNS[database]
    for result in results:
        assert not report.figures(result)[0].missed, table
        assert result.seen.health.failed == result.seen.job.failed == 0, table
        assert 0 < result.seen.health.p50 <= result.seen.health.p99 <= result.seen.health.max
        assert 0 < result.seen.megabytes_before <= result.seen.megabytes_peak
        assert result.megabytes_after > 0
        assert result.seen.stream_gap > 0
        assert result.attack.name in table


def test_attacks_are_of_all_kinds_and_have_different_names() -> None:
    assert len(ATTACKS) >= 27
    assert all(attack.prepare.__doc__ or hasattr(attack.prepare, "func") for attack in ATTACKS.values())


def result(must: Must | None = None, **changes: Any) -> Result:
    """Return a result that misses nothing, with these changes of what was observed."""
    fast = Latency(1.0, 2.0, 3.0, 0)
    observed: dict[str, Any] = {
        "health": fast,
        "job": fast,
        "stream_gap": 0.3,
        "megabytes_before": 100.0,
        "megabytes_peak": 120.0,
    }
    answers = changes.pop("answers", [Answer(422, 1000, 0.5)])
    after = changes.pop("after", 105.0)
    attack = Attack(changes.pop("name", "an attack"), lambda _: list, must or Must(seconds=2.0))
    return Result(attack, answers, 0.5, Observations(**observed | changes), after)


SLOW = Latency(1.0, 900.0, 900.0, 0)
FAILED = Latency(1.0, 2.0, 3.0, 1)
MISSES: list[tuple[str, dict[str, Any]]] = [
    ("3 × 200", {"answers": [Answer(200, 1000, 0.5)] * 3}),
    ("1 × no answer", {"answers": [Answer(NO_ANSWER, 0, 0.5)]}),
    ("1 × closed", {"answers": [Answer(CLOSED, 0, 0.5)]}),
    ("1 × 422", {"must": Must(refused=(429,))}),
    ("500 (≤ 100)", {"answers": [Answer(422, 500_000, 0.5)]}),
    ("2.5 (≤ 2.0)", {"answers": [Answer(422, 1000, 2.5)]}),
    ("1, 900, 900 (p99 ≤ 50)", {"health": SLOW}),
    ("1, 900, 900 (p99 ≤ 200)", {"job": SLOW}),
    ("1, 2, 3 (p99 ≤ 50), 1 failed", {"health": FAILED}),
    ("9.0 (≤ 2)", {"stream_gap": 9.0}),
    ("100, 260, 105 (≤ +150, +100)", {"megabytes_peak": 260.0}),
    ("100, 120, 210 (≤ +150, +100)", {"after": 210.0}),
]


def test_result_within_its_bounds_misses_nothing() -> None:
    assert not report.missed(result())
    assert "**" not in report.table([result()])


@pytest.mark.parametrize(("cell", "changes"), MISSES)
def test_missed_figure_is_bold(cell: str, changes: dict[str, Any]) -> None:
    missing = result(**changes)
    assert report.missed(missing)
    assert report.table([missing]).count("**") == 2
    assert f"| **{cell}** |" in report.table([missing])


def test_table_is_written_between_the_marks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- load -->\n<!-- /load -->\nafter\n")
    monkeypatch.setattr(report, "PAGE", page)
    report.write([result(), result(name="another", health=SLOW)], SHORT)
    text = page.read_text()
    assert text.startswith("before")
    assert text.endswith("after\n")
    assert "1 of 2 attacks miss a figure" in text
    assert text.count("| **1, 900, 900 (p99 ≤ 50)** |") == 1
    report.write_again([result(name="another", after=106.0)])
    text = page.read_text()
    assert "None of 2 attacks misses a figure" in text
    assert text.count("100, 120, 105") == text.count("100, 120, 106") == 1
    assert "Measured again" in text


def test_quantiles_are_those_of_the_nearest_rank() -> None:
    assert Latency.of([number / 1000 for number in range(1, 101)], 0) == Latency(50.0, 99.0, 100.0, 0)
    assert Latency.of([0.001, 0.002], 3) == Latency(1.0, 2.0, 2.0, 3)
    assert Latency.of([], 0) == Latency(0.0, 0.0, 0.0, 0)


def test_requests_behind_a_slow_one_count_from_when_they_were_due(monkeypatch: pytest.MonkeyPatch) -> None:
    probe = Probe(1, "/", latencies=[0.001] * 10, due=100.0)
    monkeypatch.setattr("harness.load.bystanders.time.monotonic", lambda: 101.0)
    latency = probe.stop()
    assert latency.max == pytest.approx(1000)
    assert latency.p50 == pytest.approx(300, abs=60)  # ten of a millisecond, twenty from 1,000 down to 50
