"""The soak in short, and that it would tell."""

from dataclasses import replace

import pytest

from harness.soak.client import Ended
from harness.soak.figures import Figures
from harness.soak.plan import Load
from harness.soak.run import Soak, soak, table


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
def test_everything_ends_rightly_and_nothing_grows(database: str) -> None:
    told = soak(Load(jobs=40, clients=8, seconds=4, kill_seconds=1.5, database=database))
    assert told.wrong() == [], table(told)
    assert sum(told.kills.values()) > 0


def test_settings_come_from_the_environment() -> None:
    assert Load.from_environment({"CHAINRULE_SOAK_JOBS": "5", "CHAINRULE_SOAK_SECONDS": "2.5"}) == Load(
        jobs=5, seconds=2.5
    )


def test_what_is_wrong_is_told() -> None:
    fine = Soak(
        Load(jobs=2),
        jobs=[Ended("tiny", "nothing", "succeeded", "a"), Ended("tiny", "cancel", "cancelled", None)],
        before={"API": Figures(100, 20, 5)},
        after={"API": Figures(120, 25, 5)},
        connections=(10, 12),
    )
    assert fine.wrong() == []
    assert replace(fine, jobs=fine.jobs[:1]).wrong() == ["1 of 2 jobs came to an end"]
    assert replace(fine, jobs=[fine.jobs[0], replace(fine.jobs[0], weights="b")]).wrong()
    assert replace(fine, after={"API": Figures(200, 25, 5)}).wrong()
    assert replace(fine, after={"API": Figures(120, 90, 5)}).wrong()
    assert replace(fine, after={"API": Figures(120, 25, 50)}).wrong()
    assert replace(fine, connections=(10, 40)).wrong()
