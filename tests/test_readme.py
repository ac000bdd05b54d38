"""The README and the quickstart: commands run as printed and answer as printed; tables are those of the code.

Only the port and the folder differ, so that a service which runs on this machine already is left alone.
"""

import fcntl
import json
import os
import re
import shutil
import subprocess
import termios
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.settings import Settings
from harness.processes import ROOT, free_port, is_ok

README = (ROOT / "README.md").read_text()
QUICKSTART = (ROOT / "docs" / "quickstart.md").read_text()
HOME = "127.0.0.1:8000"
BLOCK = re.compile(r"^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
VARIES = re.compile(r'"(?:job|ckpt|ds)_[0-9a-z]{26}"|"\d{4}-\d\d-\d\dT[0-9:.]+Z"')


def blocks(language: str) -> list[str]:
    """Return the fenced blocks of a language in the README and the quickstart, in their order."""
    return [
        found["text"]
        for page in (README, QUICKSTART)
        for found in BLOCK.finditer(page)
        if found["language"] == language
    ]


def commands() -> list[str]:
    """Return the commands in the README."""
    joined = "".join(blocks("sh")).replace("\\\n", " ")
    return [line.split("  #")[0].strip() for line in joined.splitlines() if line.strip()]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run `make up` and yield its address; end it by one Ctrl-C, after which it exits with 0."""
    folder, port = tmp_path_factory.mktemp("readme"), free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CHAINRULE_")}
    environment |= {"CHAINRULE_PORT": str(port), "CHAINRULE_DATA_DIR": str(folder / "data")}
    assert "make up" in commands()
    up, screen = in_a_terminal(["make", "up"], environment, folder / "up.log")
    try:
        until = time.monotonic() + 60
        while not is_ok(f"http://127.0.0.1:{port}/health/ready") and up.poll() is None and time.monotonic() < until:
            time.sleep(0.05)
        yield f"127.0.0.1:{port}"
        os.write(screen, b"\x03")
        assert up.wait(30) == 0, (folder / "up.log").read_text()
        assert not is_ok(f"http://127.0.0.1:{port}/health/live")
    finally:
        os.close(screen)
        if up.poll() is None:
            up.kill()
            up.wait()


def in_a_terminal(command: list[str], environment: dict[str, str], log: Path) -> tuple[subprocess.Popen[bytes], int]:
    """Run a command in a new terminal, with its output in a file; return it and the descriptor to type keys."""
    screen, inside = os.openpty()
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=inside, stdout=output, stderr=output, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509  its keys are signals
        )  # fmt: skip
    os.close(inside)
    return process, screen


def run(command: str, home: str) -> str:
    """Run a command in a shell against the service at `home`; return its output."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command.replace(HOME, home)],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def steady(text: str) -> Any:
    """Return an answer without the parts that vary between runs, with numbers to five digits."""
    text = VARIES.sub('"…"', text.replace("…", ""))
    try:
        return json.loads(text, parse_float=lambda digits: f"{float(digits):.5g}")
    except json.JSONDecodeError:
        return text.split()


def test_every_request_answers_as_printed(service: str) -> None:
    console = blocks("console")
    assert len(console) >= 6
    for block in console:
        asked, _, printed = block.removeprefix("$ ").replace("\n   ", "   ").partition("\n")  # indented: goes on
        output = run(asked, service)
        assert steady(output) == steady(printed), f"{asked}\nprinted: {printed}\noutput: {output}"


def test_every_command_can_be_run() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for command in commands():
        word, *rest = re.sub(r"^(\w+=\S+ )+", "", command).split()
        if word == "make":
            assert set(rest) <= targets, command
        elif word == "docker":
            assert rest[0] == "compose"
            assert (ROOT / "docker-compose.yml").exists()
        else:
            assert word in {"git", "cd", "curl"}, command
            assert shutil.which(word) or word == "cd"


def test_settings_are_those_of_the_class() -> None:
    rows = [f"| `{name}` | {default} | {meaning} |" for name, default, meaning in Settings.table()]
    assert "\n".join(rows) in (ROOT / "docs" / "reference" / "settings.md").read_text()


def test_four_lines_are_those_of_a_training_step() -> None:
    (lines,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert textwrap.indent(lines, "    ") in (ROOT / "core" / "nn" / "step" / "step.py").read_text()


def test_spec_in_the_readme_is_the_docs_example() -> None:
    from core.jobs.spec import JobSpec  # noqa: PLC0415  beside its only use

    example = JobSpec.model_config["json_schema_extra"]
    assert isinstance(example, dict)
    (posted,) = re.findall(r"-d '(\{\"name\".*?\})'\n", README, re.DOTALL)
    assert json.loads(posted) == example["example"]
