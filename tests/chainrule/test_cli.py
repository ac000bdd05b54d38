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


def test_help_names_each_command() -> None:
    said = CliRunner().invoke(app, ["--help"])
    assert said.exit_code == 0
    assert [name for name in COMMANDS if not re.search(rf"\b{name}\b", said.output)] == []


def test_migrate_makes_the_database_and_may_be_repeated(environment: dict[str, str], tmp_path: Path) -> None:
    for _ in range(2):
        said = CliRunner().invoke(app, ["migrate"], env=environment)
        assert said.exit_code == 0, said.output
    assert (tmp_path / "data" / "chainrule.db").exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_wrong_setting_is_one_line(environment: dict[str, str], command: str) -> None:
    said = CliRunner().invoke(app, [command, *ARGUMENTS.get(command, [])], env=environment | {"CHAINRULE_PROT": "8000"})
    assert said.exit_code == 1
    assert said.stderr.splitlines() == [
        "chainrule: CHAINRULE_PROT: is not a setting; docs/reference/settings.md lists all"
    ]


def test_a_service_that_is_not_there_is_one_line(environment: dict[str, str]) -> None:
    said = CliRunner().invoke(app, ["demo", "--url", "http://127.0.0.1:1"], env=environment)
    assert said.exit_code == 1
    assert said.stderr.startswith("chainrule: There is no service at http://127.0.0.1:1")


def test_a_database_that_is_away_is_one_line(environment: dict[str, str]) -> None:
    url = "postgresql://nobody@127.0.0.1:1/nothing"
    said = CliRunner().invoke(app, ["migrate"], env=environment | {"CHAINRULE_DATABASE_URL": url})
    assert said.exit_code == 1
    assert len(said.stderr.splitlines()) == 1


def test_the_module_is_the_command() -> None:
    said = subprocess.run(
        [sys.executable, "-m", "chainrule", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "Usage: chainrule" in said.stdout
