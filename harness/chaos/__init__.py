"""The chaos run: real processes, faults at random moments, and an undisturbed run to compare with."""

import os
import select
import time
from typing import Any


def _select_sleep(seconds: Any) -> None:
    select.select([], [], [], seconds)


if "libfaketime" in os.environ.get("LD_PRELOAD", ""):
    # libfaketime misreads the absolute deadline of Python's sleep. Replaced here, before other modules import it.
    time.sleep = _select_sleep
