"""Whom Ctrl-C is for: a program that `make` started takes the terminal's keys for itself.

Make ends itself by the signal when it gets one, whatever the program then says; so the key has to reach the program
alone for `make up` to end with 0.
"""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def keys() -> Iterator[None]:
    """Be the terminal's foreground process group until the block ends; nothing where there is none to take."""
    shared = os.getpgrp()
    if shared == os.getpid() or not sys.stdin.isatty() or os.tcgetpgrp(sys.stdin.fileno()) != shared:
        yield
        return
    # A background group is stopped where it changes the foreground, and one that Ctrl-Z stops would stay stopped, since
    # the shell watches make.
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
