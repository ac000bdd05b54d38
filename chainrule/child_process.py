"""A process of `chainrule up`: started in its own process group, restarted when it dies, ended with the others."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from time import monotonic

FIRST_PAUSE_SECONDS, MAX_PAUSE_SECONDS = 0.5, 10.0
"""Seconds before a child that died is restarted: doubled at each death in a row."""
STABLE_SECONDS = 30.0
"""Seconds of life after which a death counts as the first in a row."""
PR_SET_PDEATHSIG = 1


class Child:
    """The process `python -m chainrule <command>`, restarted when it dies.

    Parameters
    ----------
    command
        The command: `api` or `worker`.
    environment
        All environment variables of the process.
    """

    def __init__(self, command: str, environment: Mapping[str, str]) -> None:
        self.command = command
        self._environment = dict(environment)
        self._pause = FIRST_PAUSE_SECONDS
        self._restart_at: float | None = None
        self._start()

    def restart_if_dead(self) -> str | None:
        """Restart the process if it has died and its pause is over; return a message when a death is first seen."""
        code = self._process.poll()
        if code is None:
            return None
        if self._restart_at is None:
            stable = monotonic() - self._started_at > STABLE_SECONDS
            self._pause = FIRST_PAUSE_SECONDS if stable else min(2 * self._pause, MAX_PAUSE_SECONDS)
            self._restart_at = monotonic() + self._pause
            return f"the {self.command} ended ({describe_exit(code)}): restarting it in {self._pause:g} s"
        if monotonic() >= self._restart_at:
            self._start()
        return None

    @property
    def ended(self) -> str | None:
        """How the process ended, or None while it runs."""
        code = self._process.poll()
        return None if code is None else describe_exit(code)

    def terminate(self) -> None:
        """Send SIGTERM to the process; it ends its own children."""
        if self._process.poll() is None:
            self._process.terminate()

    def kill(self) -> None:
        """Kill the process and its whole group."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _start(self) -> None:
        self._restart_at = None
        self._started_at = monotonic()
        self._process = start_process(self.command, self._environment)


def start_process(command: str, environment: Mapping[str, str], *, quiet: bool = False) -> subprocess.Popen[bytes]:
    """Start `python -m chainrule <command>`; it receives SIGTERM if this process is killed."""
    return subprocess.Popen(
        [sys.executable, "-m", "chainrule", command],
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL if quiet else None,
        start_new_session=True,  # a Ctrl-C in the terminal reaches only the parent
        preexec_fn=_end_with_parent,  # noqa: PLW1509 - there are no threads here
    )


def run_once(command: str, environment: Mapping[str, str]) -> int:
    """Run `python -m chainrule <command>` and return its exit code."""
    return start_process(command, environment).wait()


def describe_exit(code: int) -> str:
    """Return the name of the signal, such as SIGKILL, or the exit code."""
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def _end_with_parent() -> None:
    """Make the kernel send SIGTERM to this process when its parent is killed."""
    if _libc is not None:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
