"""The version of this program and its numbers."""

import re
from itertools import pairwise

import pytest

from core import VERSION
from core.store.migrate import HEAD_REVISION
from core.versions import THIS, Release, is_older, newest
from harness.processes import ROOT


def test_changelog_begins_with_this_version() -> None:
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[0] == VERSION
    assert all(is_older(older, newer) for newer, older in pairwise(headings))


def test_changelog_states_the_numbers_and_the_migration_of_this_version() -> None:
    section = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").split("\n## ")[1]
    assert f"Vocabulary {THIS.vocabulary}, arithmetic {THIS.arithmetic}. Migration {HEAD_REVISION}." in section


@pytest.mark.parametrize(("older", "newer"), [("0.2.0", "0.2.1"), ("0.9.9", "0.10.0"), ("9.0.0", "10.0.0")])
def test_versions_are_compared_by_number(older: str, newer: str) -> None:
    assert is_older(older, newer)
    assert not is_older(newer, older)
    assert not is_older(newer, newer)
    assert newest([older, newer, older]) == newer
    assert newest([]) is None


@pytest.mark.parametrize(
    ("vocabulary", "arithmetic", "trains"), [(2, 3, True), (0, 0, True), (3, 3, False), (2, 4, False), (1, 4, False)]
)
def test_release_trains_jobs_of_at_most_its_numbers(vocabulary: int, arithmetic: int, trains: bool) -> None:
    assert Release("1.0.0", 2, 3).trains(vocabulary, arithmetic) is trains
