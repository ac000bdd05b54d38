"""`python -m harness.chaos`: inject every kind of fault, print a table of results, and say how to repeat each round.

CHAINRULE_CHAOS_ROUNDS is the number of rounds per fault (20), CHAINRULE_CHAOS_SEED the seed of all random moments. Name
faults to run only those; without names all run, and the table is written to docs/reliability.md. Ctrl-C ends the run
after the rounds in progress.
"""

# ruff: noqa: T201 - it reports to a terminal

import argparse
import os
import random
import signal
import sys
import threading

from harness.chaos.faults import FAULTS
from harness.chaos.faults.fault import ALL_KINDS
from harness.chaos.report import table, write
from harness.chaos.run import Selection, run


def main() -> int:
    """Run the chosen rounds; return 0 if all passed."""
    parser = argparse.ArgumentParser(prog="python -m harness.chaos", description=__doc__)
    parser.add_argument("faults", nargs="*", choices=[[], *FAULTS], metavar="fault", help=f"any of {', '.join(FAULTS)}")
    parser.add_argument("--where", choices=ALL_KINDS, help="only in this kind of deployment")
    parser.add_argument("--round", type=int, help="only this round")
    arguments = parser.parse_args()
    count = int(os.environ.get("CHAINRULE_CHAOS_ROUNDS", "20"))
    seed = int(os.environ.get("CHAINRULE_CHAOS_SEED", "0")) or random.SystemRandom().randrange(1, 10**9)
    selection = Selection(
        faults=arguments.faults or list(FAULTS),
        kinds=[arguments.where] if arguments.where else ALL_KINDS,
        rounds=range(count) if arguments.round is None else [arguments.round],
        seed=seed,
    )
    print(f"seed {seed}, {len(selection.rounds)} rounds of each fault", flush=True)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    rows = run(selection, lambda text: print(text, flush=True), stop)
    print(table(rows))
    if not arguments.faults and not arguments.where and arguments.round is None:
        write(rows, seed)
    return 0 if all(row.passed for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
