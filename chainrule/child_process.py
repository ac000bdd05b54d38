"""A process of the laptop's tree: started in a group of its own, started again when it dies, ended when all end."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from time import monotonic

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0
"""Seconds before a child that died is started again: doubled at each death in a row."""
STEADY = 30.0
"""Seconds of life after which a death counts as the first in a row."""
PR_SET_PDEATHSIG = 1


class Child:
    """`python -m chainrule <command>`, kept alive.

    Parameters
    ----------
    command
        The command: api or worker.
    environment
        All variables of the process.
    """

    def __init__(self, command: str, environment: Mapping[str, str]) -> None:
        self.command = command
        self._environment = dict(environment)
        self._pause = FIRST_PAUSE
        self._again_at: float | None = None
        self._start()

    def watch(self) -> str | None:
        """Start it again where it has died and its pause is over; returns what there is to say."""
        code = self._process.poll()
        if code is None:
            return None
        if self._again_at is None:
            self._pause = (
                FIRST_PAUSE if monotonic() - self._started_at > STEADY else min(2 * self._pause, LONGEST_PAUSE)
            )
            self._again_at = monotonic() + self._pause
            return f"the {self.command} ended ({how(code)}): it is started again in {self._pause:g} s"
        if monotonic() >= self._again_at:
            self._start()
        return None

    @property
    def ended(self) -> str | None:
        """How it ended, or None while it lives."""
        code = self._process.poll()
        return None if code is None else how(code)

    def terminate(self) -> None:
        """Ask it to end; its own children are its own affair."""
        if self._process.poll() is None:
            self._process.terminate()

    def kill(self) -> None:
        """End it and all of its group at once."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _start(self) -> None:
        self._again_at = None
        self._started_at = monotonic()
        self._process = started(self.command, self._environment)


def started(command: str, environment: Mapping[str, str], *, quiet: bool = False) -> subprocess.Popen[bytes]:
    """`python -m chainrule <command>` as a process that is told to end when this one is killed."""
    return subprocess.Popen(
        [sys.executable, "-m", "chainrule", command],
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL if quiet else None,
        start_new_session=True,  # so that a Ctrl-C in the terminal reaches the parent alone
        preexec_fn=_end_with_parent,  # noqa: PLW1509 - there are no threads here
    )


def run_once(command: str, environment: Mapping[str, str]) -> int:
    """The exit code of `python -m chainrule <command>`."""
    return started(command, environment).wait()


def how(code: int) -> str:
    """An exit code in words."""
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def _end_with_parent() -> None:
    """Have the kernel ask this process to end when its parent is killed, so that nothing stays behind."""
    if _libc is not None:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
