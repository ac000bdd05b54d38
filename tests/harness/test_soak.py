"""A short soak run, and the failures that its report finds."""

from dataclasses import replace

import pytest

from harness.soak.client import EndedJob
from harness.soak.plan import Load
from harness.soak.run import SoakReport, soak, table
from harness.soak.usage import ResourceUsage


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_short_soak_has_no_failures(database: str) -> None:
    report = soak(Load(jobs=40, clients=8, seconds=4, kill_seconds=1.5, database=database))
    assert report.failures() == [], table(report)
    assert sum(report.kills.values()) > 0


def test_load_is_read_from_the_environment() -> None:
    assert Load.from_environment({"CHAINRULE_SOAK_JOBS": "5", "CHAINRULE_SOAK_SECONDS": "2.5"}) == Load(
        jobs=5, seconds=2.5
    )


def test_report_finds_failures() -> None:
    fine = SoakReport(
        Load(jobs=2),
        jobs=[EndedJob("tiny", "nothing", "succeeded", "a"), EndedJob("tiny", "cancel", "cancelled", None)],
        before={"API": ResourceUsage(100, 20, 5)},
        after={"API": ResourceUsage(120, 25, 5)},
        connections=(10, 12),
    )
    assert fine.failures() == []
    assert replace(fine, jobs=fine.jobs[:1]).failures() == ["1 of 2 jobs ended"]
    assert replace(fine, jobs=[fine.jobs[0], replace(fine.jobs[0], weights="b")]).failures()
    assert replace(fine, after={"API": ResourceUsage(200, 25, 5)}).failures()
    assert replace(fine, after={"API": ResourceUsage(120, 90, 5)}).failures()
    assert replace(fine, after={"API": ResourceUsage(120, 25, 50)}).failures()
    assert replace(fine, connections=(10, 40)).failures()
