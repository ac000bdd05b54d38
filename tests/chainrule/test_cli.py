"""The commands and their errors."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from chainrule.cli import app
from harness.processes import ROOT

COMMANDS = ["up", "api", "worker", "migrate", "doctor", "backup", "restore", "demo"]
ARGUMENTS = {"backup": ["folder"], "restore": ["folder"]}


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {"CHAINRULE_DATA_DIR": str(tmp_path / "data")}


def test_help_lists_each_command() -> None:
    result = CliRunner().invoke(app, ["--help"])
    assert result.exit_code == 0
    assert [name for name in COMMANDS if not re.search(rf"\b{name}\b", result.output)] == []


def test_migrate_creates_the_database_and_can_be_repeated(environment: dict[str, str], tmp_path: Path) -> None:
    for _ in range(2):
        result = CliRunner().invoke(app, ["migrate"], env=environment)
        assert result.exit_code == 0, result.output
    assert (tmp_path / "data" / "chainrule.db").exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_unknown_setting_is_reported_in_one_line(environment: dict[str, str], command: str) -> None:
    result = CliRunner().invoke(
        app, [command, *ARGUMENTS.get(command, [])], env=environment | {"CHAINRULE_PROT": "8000"}
    )
    assert result.exit_code == 1
    assert result.stderr.splitlines() == ["chainrule: CHAINRULE_PROT: is not a setting: did you mean CHAINRULE_PORT?"]


def test_missing_service_is_reported_in_one_line(environment: dict[str, str]) -> None:
    result = CliRunner().invoke(app, ["demo", "--url", "http://127.0.0.1:1"], env=environment)
    assert result.exit_code == 1
    assert result.stderr.startswith("chainrule: There is no service at http://127.0.0.1:1")


def test_unreachable_database_is_reported_in_one_line(environment: dict[str, str]) -> None:
    url = "postgresql://nobody@127.0.0.1:1/nothing"
    result = CliRunner().invoke(app, ["migrate"], env=environment | {"CHAINRULE_DATABASE_URL": url})
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1


def test_module_runs_the_command() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "chainrule", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "Usage: chainrule" in result.stdout
