"""Faults of the wall clock."""

import signal
from collections.abc import Mapping
from functools import partial
from types import MappingProxyType

from harness.chaos.faults.fault import Fault
from harness.chaos.rounds import Round, send


def clock_jumps(seconds: int, r: Round) -> None:
    """Shift the wall clock of all processes while the job trains."""
    r.post()
    r.wait_randomly()
    r.mark_fault()
    r.local.set_clock(seconds)


def clock_jumps_while_queued(seconds: int, r: Round) -> None:
    """Shift the wall clock between the POST and the claim."""
    stopped = r.stop_workers()
    r.post()
    r.mark_fault()
    r.local.set_clock(seconds)
    for pid in reversed(stopped):
        send(pid, signal.SIGCONT)


FAULTS: Mapping[str, Fault] = MappingProxyType(
    {
        "clock-forward": Fault("wall clock jumps an hour forward", partial(clock_jumps, 3600), faketime=True),
        "clock-back": Fault("wall clock jumps an hour back", partial(clock_jumps, -3600), faketime=True),
        "clock-back-queued": Fault(
            "wall clock jumps an hour back while the job waits",
            partial(clock_jumps_while_queued, -3600),
            faketime=True,
        ),
    }
)
