"""Fixtures: the trees of other versions."""

from pathlib import Path

import pytest

from harness.backends import skip_or_fail
from harness.versions.trees import NoHistory, older_copy, version_before


@pytest.fixture(scope="session")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree of the version before this one; without history, the test is skipped with a line that says so."""
    try:
        return version_before(tmp_path_factory.mktemp("before"))
    except NoHistory as error:
        skip_or_fail("history", error)


@pytest.fixture(scope="session")
def older(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of this tree with a lower version, a layer less, and other numbers in one activation."""
    return older_copy(tmp_path_factory.mktemp("older") / "tree")
