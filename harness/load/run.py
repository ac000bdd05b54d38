"""The load test: a service for each attack, the bystanders beside it, and the figures."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from core.settings import Settings
from harness.backends import postgres_database
from harness.load.attack import Attack, Extent, Run, Target
from harness.load.bystanders import Observations
from harness.load.client import Answer
from harness.load.jobs import start_bystander
from harness.load.memory import tree_megabytes
from harness.processes import ROOT, Processes, processes

WARM_UP_SECONDS = 1.0
"""Seconds that the bystanders run before they record."""


@dataclass
class Result:
    """What an attack was answered, what the bystanders saw, and the memory that the API kept, in megabytes."""

    attack: Attack
    answers: list[Answer]
    seconds: float
    seen: Observations
    megabytes_after: float = 0.0


def run(attacks: Sequence[Attack], extent: Extent, say: Callable[[str], None] = lambda _: None) -> list[Result]:
    """Make each attack on a service of its own; return the results in order.

    A service stays idle for `idle_seconds` after its attack, while the next attack is made on another one.
    """
    results: list[Result] = []
    idle: list[threading.Thread] = []
    for attack in attacks:
        say(attack.name)
        stack = ExitStack()
        try:
            running, api = stack.enter_context(_service(attack, extent))
            result = _attack(attack, Target(running, extent), api)
        except BaseException:
            stack.close()
            raise
        results.append(result)
        idle.append(threading.Thread(target=_measure_later, args=(result, api, extent.idle_seconds, stack)))
        idle[-1].start()
    for thread in idle:
        thread.join()
    return results


@contextmanager
def _service(attack: Attack, extent: Extent) -> Iterator[tuple[Processes, subprocess.Popen[bytes]]]:
    """Start an API and a worker that trains two jobs at a time; kill them at the end, whatever they do."""
    known = {name: value for name, value in attack.settings.items() if name in Settings.model_fields}
    with ExitStack() as stack:
        if extent.database == "postgres":
            known["database_url"] = stack.enter_context(postgres_database())
        folder = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="chainrule-load-", ignore_cleanup_errors=True))
        )
        running = stack.enter_context(processes(folder, workers=2, threads=1, log_level="warning", **known))
        stack.callback(_kill, running)
        api = running.start_api()
        running.start_worker()
        yield running, api


def _kill(running: Processes) -> None:
    for process in running.started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _attack(attack: Attack, target: Target, api: subprocess.Popen[bytes]) -> Result:
    make: Run = attack.prepare(target)
    with _bystanders(target, api.pid) as commands:
        time.sleep(min(WARM_UP_SECONDS, target.extent.least_seconds))
        commands("start")
        began = time.monotonic()
        answers = make()
        seconds = time.monotonic() - began
        time.sleep(max(0.0, target.extent.least_seconds - seconds))
        return Result(attack, answers, seconds, Observations.from_json(commands("stop")))


@contextmanager
def _bystanders(target: Target, pid: int) -> Iterator[Callable[[str], str]]:
    """Start the bystanders; yield a function that sends them a command and returns what they print, if they do."""
    job = start_bystander(target.running)
    command = [sys.executable, "-m", "harness.load.bystanders", str(target.port), job, str(pid)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

        def send(word: str) -> str:
            assert process.stdin
            assert process.stdout
            process.stdin.write(f"{word}\n")
            process.stdin.flush()
            return process.stdout.readline() if word == "stop" else ""

        try:
            yield send
        finally:
            process.kill()


def _measure_later(result: Result, api: subprocess.Popen[bytes], seconds: float, service: ExitStack) -> None:
    """Measure the API's memory after some idle seconds, and end its service."""
    time.sleep(seconds)
    result.megabytes_after = tree_megabytes(api.pid)
    service.close()
