"""Faults of the wall clock."""

import signal
from collections.abc import Mapping
from functools import partial
from types import MappingProxyType

from harness.chaos.faults.fault import Fault
from harness.chaos.rounds import Round, send


def clock_jumps(seconds: int, r: Round) -> None:
    """The wall clock of all processes jumps."""
    r.post()
    r.moment()
    r.hurt()
    r.place.set_clock(seconds)


def clock_jumps_while_it_waits(seconds: int, r: Round) -> None:
    """The wall clock jumps between a job's POST and its claim."""
    stopped = r.stop_workers()
    r.post()
    r.hurt()
    r.place.set_clock(seconds)
    for pid in reversed(stopped):
        send(pid, signal.SIGCONT)


FAULTS: Mapping[str, Fault] = MappingProxyType(
    {
        "clock-forward": Fault("wall clock jumps an hour forward", partial(clock_jumps, 3600), faketime=True),
        "clock-back": Fault("wall clock jumps an hour back", partial(clock_jumps, -3600), faketime=True),
        "clock-back-queued": Fault(
            "wall clock jumps an hour back while the job waits",
            partial(clock_jumps_while_it_waits, -3600),
            faketime=True,
        ),
    }
)
