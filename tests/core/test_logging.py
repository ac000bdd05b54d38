"""Log lines with control characters from a client."""

import json
import subprocess
import sys
from typing import Literal

from harness.processes import ROOT

MALICIOUS = "x\n2026-01-01T00:00:00Z [info] forged\r\x1b[2J\x9b31m\u2028\x00"
PROGRAM = f"""
import logging, structlog
from core import logging as logs
from core.settings import Settings
logs.configure(Settings(log_format=FORMAT))
log = structlog.get_logger("api")
log.info("request", path={MALICIOUS!r}, inner=[{MALICIOUS!r}])
logging.getLogger("library").warning("said %s", {MALICIOUS!r})
try:
    raise ValueError({MALICIOUS!r})
except ValueError:
    log.exception("failed")
"""


def logged(form: Literal["console", "json"]) -> str:
    """Return what a process that logs in this format writes to standard error."""
    code = PROGRAM.replace("FORMAT", repr(form))
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stderr


def test_console_escapes_control_characters() -> None:
    text = logged("console")
    assert not set(text) & {"\r", "\x1b", "\x9b", "\u2028", "\x00"}
    ours = [line for line in text.split("\n") if line and not line.startswith("  ")]  # a traceback is indented
    assert [line.split()[1:3] for line in ours] == [["[info", "]"], ["[warning", "]"], ["[error", "]"]]
    assert "forged" in ours[0]
    assert "Traceback" in text


def test_json_has_a_line_for_each_event() -> None:
    lines = [json.loads(line) for line in logged("json").splitlines()]
    assert [line["event"] for line in lines] == ["request", f"said {MALICIOUS}", "failed"]
    assert lines[0]["path"] == MALICIOUS
