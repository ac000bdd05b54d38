"""Log lines of what a client wrote: it begins no line of its own and steers no terminal."""

import json
import subprocess
import sys
from typing import Literal

from harness.processes import ROOT

EVIL = "x\n2026-01-01T00:00:00Z [info] forged\r\x1b[2J\x9b31m\u2028\x00"
SAY = f"""
import logging, structlog
from core import logging as logs
from core.settings import Settings
logs.configure(Settings(log_format=FORMAT))
log = structlog.get_logger("api")
log.info("request", path={EVIL!r}, inner=[{EVIL!r}])
logging.getLogger("library").warning("said %s", {EVIL!r})
try:
    raise ValueError({EVIL!r})
except ValueError:
    log.exception("failed")
"""


def said(form: Literal["console", "json"]) -> str:
    """What a process that logs in this format writes to standard error."""
    code = SAY.replace("FORMAT", repr(form))
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stderr


def test_a_console_shows_what_a_client_wrote_without_obeying_it() -> None:
    text = said("console")
    assert not set(text) & {"\r", "\x1b", "\x9b", "\u2028", "\x00"}
    ours = [line for line in text.split("\n") if line and not line.startswith("  ")]  # a traceback is indented
    assert [line.split()[1:3] for line in ours] == [["[info", "]"], ["[warning", "]"], ["[error", "]"]]
    assert "forged" in ours[0]
    assert "Traceback" in text


def test_json_holds_a_line_for_each_fact() -> None:
    lines = [json.loads(line) for line in said("json").splitlines()]
    assert [line["event"] for line in lines] == ["request", f"said {EVIL}", "failed"]
    assert lines[0]["path"] == EVIL
