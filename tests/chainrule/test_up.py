"""`chainrule up` and `chainrule demo` as real processes."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from core.settings import Settings
from harness.backends import skip_or_fail
from harness.processes import ROOT, TIMEOUT_SECONDS, Processes, free_port, is_ok


@pytest.fixture
def laptop(tmp_path: Path) -> Iterator[Processes]:
    """Yield an interface to processes with an empty data folder and a free port."""
    settings = Settings(data_dir=tmp_path / "data", port=free_port(), workers=1)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CHAINRULE_")}
    variables = {
        "CHAINRULE_DATA_DIR": str(settings.data_dir),
        "CHAINRULE_PORT": str(settings.port),
        "CHAINRULE_WORKERS": "1",
    }
    running = Processes(tmp_path, settings, inherited | variables)
    yield running
    running.stop()


def is_up(laptop: Processes) -> bool:
    return "Chainrule is ready" in laptop.output()


def descendants(pid: int) -> list[int]:
    """Return all descendants of a process."""
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    children = [int(child) for child in found.stdout.split()]
    return children + [below for child in children for below in descendants(child)]


def gone(pids: list[int]) -> bool:
    return not any(Path(f"/proc/{pid}").exists() for pid in pids)


def command(pid: int) -> str:
    """Return the last argument of a process's command line."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text().rstrip("\0").rpartition("\0")[2]
    return ""


def test_up_starts_restarts_and_ends_everything(laptop: Processes) -> None:
    up = laptop.start("up")
    laptop.until(lambda: is_up(laptop), "all is ready", up)
    for path in ("/", "/docs", "/health/ready"):
        assert is_ok(laptop.url + path)
    for line in (f"{laptop.url}/docs", f"{laptop.url}/v1"):
        assert line in laptop.output()

    second = laptop.start("up")
    assert second.wait(TIMEOUT_SECONDS) == 1
    *_, line = laptop.output().splitlines()
    assert "is in use by another `chainrule up`" in line

    elsewhere = laptop.environment | {"CHAINRULE_DATA_DIR": str(laptop.folder / "elsewhere")}
    third = subprocess.run(
        [sys.executable, "-m", "chainrule", "up"], cwd=ROOT, env=elsewhere, capture_output=True, text=True, check=False
    )
    assert (third.returncode, third.stdout) == (1, "")
    assert third.stderr.splitlines() == [
        f"chainrule: port {laptop.settings.port} on 127.0.0.1 is in use: set CHAINRULE_PORT, or end its process"
    ]

    below = descendants(up.pid)
    (worker,) = [pid for pid in below if command(pid) == "worker" and descendants(pid)]
    os.kill(worker, signal.SIGKILL)
    laptop.until(lambda: "restarting it in" in laptop.output(), "the restart is announced")
    laptop.until(
        lambda: any(command(pid) == "worker" and descendants(pid) for pid in descendants(up.pid)), "the worker is back"
    )
    below += descendants(up.pid)
    up.send_signal(signal.SIGINT)
    assert up.wait(TIMEOUT_SECONDS) == 0
    assert "Chainrule is ending" in laptop.output()
    laptop.until(lambda: gone(below), "no process is left")


def test_second_signal_kills_and_no_process_is_left(laptop: Processes) -> None:
    up = laptop.start("up")
    laptop.until(lambda: is_up(laptop), "all is ready", up)
    below = descendants(up.pid)
    stopped = [pid for pid in below if command(pid) == "worker"]
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)  # a worker that does not react
    up.send_signal(signal.SIGINT)
    up.send_signal(signal.SIGTERM)
    assert up.wait(TIMEOUT_SECONDS) == 0
    laptop.until(lambda: gone(below), "no process is left")

    again = laptop.start("up")
    laptop.until(lambda: laptop.output().count("Chainrule is ready") == 2, "all is ready again", again)
    below = descendants(again.pid)
    again.kill()
    again.wait()
    laptop.until(lambda: gone(below), "no process outlives a kill")


def test_unreachable_database_is_reported_without_traceback(laptop: Processes) -> None:
    wrong = laptop.environment | {"CHAINRULE_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing"}
    up = subprocess.run(
        [sys.executable, "-m", "chainrule", "up"], cwd=ROOT, env=wrong, capture_output=True, text=True, check=False
    )
    assert up.returncode == 1
    assert "Traceback" not in up.stderr
    assert "Connection refused" in up.stderr


def test_demo_starts_a_service_and_shows_both_parts(laptop: Processes) -> None:
    demo = subprocess.run(
        [sys.executable, "-m", "chainrule", "demo"],
        cwd=ROOT,
        env=laptop.environment | {"COLUMNS": "100"},
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_SECONDS,
    )
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert "Cost after iteration 0: " in demo.stdout
    assert demo.stdout.count("Cost after iteration") == 10
    assert "6 → 12.00" in demo.stdout
    if "needs scikit-learn" in demo.stdout:
        skip_or_fail("sklearn", "it cannot be imported")
    assert "held-out digits classified correctly" in demo.stdout
    with pytest.raises(httpx.ConnectError):
        httpx.get(laptop.url)
