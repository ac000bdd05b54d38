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
from harness.chaos.faults.fault import EVERYWHERE
from harness.chaos.report import table, write
from harness.chaos.run import Chosen, run


def main() -> int:
    """The exit code: 0 where nothing was wrong."""
    reader = argparse.ArgumentParser(prog="python -m harness.chaos", description=__doc__)
    reader.add_argument("faults", nargs="*", choices=[[], *FAULTS], metavar="fault", help=f"of {', '.join(FAULTS)}")
    reader.add_argument("--where", choices=EVERYWHERE, help="in one kind of place only")
    reader.add_argument("--round", type=int, help="this round only")
    asked = reader.parse_args()
    count = int(os.environ.get("CHAINRULE_CHAOS_ROUNDS", "20"))
    seed = int(os.environ.get("CHAINRULE_CHAOS_SEED", "0")) or random.SystemRandom().randrange(1, 10**9)
    chosen = Chosen(
        faults=asked.faults or list(FAULTS),
        places=[asked.where] if asked.where else EVERYWHERE,
        rounds=range(count) if asked.round is None else [asked.round],
        seed=seed,
    )
    print(f"seed {seed}, {len(chosen.rounds)} rounds of each fault", flush=True)
    enough = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: enough.set())
    rows = run(chosen, lambda text: print(text, flush=True), enough)
    print(table(rows))
    if not asked.faults and not asked.where and asked.round is None:
        write(rows, seed)
    return 0 if all(row.right for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
