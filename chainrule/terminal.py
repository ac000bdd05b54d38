"""Ctrl-C under `make`: a program that `make` started becomes the terminal's foreground process group.

Make ends with an error when it receives the signal, whatever the program's exit code; so Ctrl-C must reach only the
program for `make up` to end with 0.
"""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def foreground() -> Iterator[None]:
    """Be the terminal's foreground process group during the block; do nothing without a terminal."""
    shared = os.getpgrp()
    if shared == os.getpid() or not sys.stdin.isatty() or os.tcgetpgrp(sys.stdin.fileno()) != shared:
        yield
        return
    # The kernel stops a background group that changes the foreground; and a group stopped by Ctrl-Z would stay
    # stopped, since the shell watches make.
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGTTOU, signal.SIGTSTP)}
    os.setpgid(0, 0)
    os.tcsetpgrp(sys.stdin.fileno(), os.getpgrp())
    try:
        yield
    finally:
        os.tcsetpgrp(sys.stdin.fileno(), shared)
        os.setpgid(0, shared)
        for number, handler in before.items():
            signal.signal(number, handler)
