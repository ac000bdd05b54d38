#!/usr/bin/env python3
"""Test of the compose deployment: start it, train jobs, inject faults meanwhile, and take it down.

Needs only Docker with Compose; the digits come from scikit-learn if it is installed. Exits with 0 if every step passed.
It uses a project name, volumes and a port of its own, so it can run beside a deployment in use.
"""

# ruff: noqa: T201 - it reports to a terminal

import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

# Started as a file, it must find the package.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from harness.compose.faults import (
    detects_unhealthy_containers,
    ends_while_it_starts,
    requeues_on_stop,
    survives_a_crash_of_everything,
    survives_a_killed_worker,
    survives_a_restart_of,
)
from harness.compose.project import Deployment, Json, StepFailed, take_down
from harness.compose.uses import (
    doubles,
    is_confined,
    learns_digits,
    learns_doubling,
    lets_workers_reach_a_bucket,
    scales,
    starts,
    trains_undisturbed,
)

RUN_SECONDS = 2400  # seconds that the whole run may take

STEPS: tuple[Callable[[Deployment, Json], str], ...] = (
    starts,
    is_confined,
    lets_workers_reach_a_bucket,
    learns_doubling,
    learns_digits,
    trains_undisturbed,
    scales,
    survives_a_killed_worker,
    *(survives_a_restart_of(service) for service in ("redis", "api", "worker", "postgres")),
    detects_unhealthy_containers,
    survives_a_crash_of_everything,
    ends_while_it_starts,
    requeues_on_stop,
    doubles,
)


def raise_timeout(_number: int, _frame: object) -> NoReturn:
    """Handle the alarm by failing the current step."""
    raise StepFailed(f"the whole run took more than {RUN_SECONDS} s")


def main() -> int:
    """Run each step; return the exit code."""
    deployment, results = Deployment(), dict[str, Any]()
    signal.signal(signal.SIGALRM, raise_timeout)
    signal.alarm(RUN_SECONDS)
    print(f"project {deployment.project} on http://127.0.0.1:{deployment.port}", flush=True)
    try:
        for step in STEPS:
            began = time.monotonic()
            print(f"{step.__doc__}", flush=True)
            print(f"    ok, {step(deployment, results)} [{time.monotonic() - began:.0f} s]", flush=True)
    except (Exception, KeyboardInterrupt) as error:  # after any error the deployment is taken down
        print(f"    FAILED: {error}" if isinstance(error, StepFailed) else traceback.format_exc(), flush=True)
        print_logs(deployment)
        return 1
    finally:
        signal.alarm(0)
        take_down(deployment)
    print("taken down; every step passed")
    return 0


def print_logs(deployment: Deployment) -> None:
    """Print the last lines of the containers' logs."""
    try:
        print(deployment.compose("ps", "--all"), deployment.compose("logs", "--tail", "40"), sep="\n", flush=True)
    except StepFailed as error:
        print(error)


if __name__ == "__main__":
    sys.exit(main())
