"""The chaos run: real processes, real faults at random moments, and the undisturbed run to compare with."""

import os
import select
import time
from typing import Any


def _doze(seconds: Any) -> None:
    select.select([], [], [], seconds)


if "libfaketime" in os.environ.get("LD_PRELOAD", ""):
    # It mistakes the absolute time until which Python sleeps. Here, since others take the function as they are loaded.
    time.sleep = _doze
