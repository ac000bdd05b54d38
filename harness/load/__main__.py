"""`python -m harness.load`: attack a service in every way, print a table, and write it to docs/reliability.md.

Name attacks (or parts of their names) to make only those; the table is then only printed, or with `--again` their rows
are replaced in the page. `--short` makes the attacks at a hundredth of their size. Every connection is to 127.0.0.1.
"""

# ruff: noqa: T201 - it reports to a terminal

import argparse
import sys
from dataclasses import replace

from harness.load.attack import FULL, SHORT
from harness.load.attacks import ATTACKS
from harness.load.report import missed, table, write, write_again
from harness.load.run import run


def main() -> int:
    """Make the chosen attacks; return 0 if no figure is missed."""
    parser = argparse.ArgumentParser(prog="python -m harness.load", description=__doc__)
    parser.add_argument("attacks", nargs="*", metavar="attack", help="; ".join(ATTACKS))
    parser.add_argument("--short", action="store_true", help="at a hundredth of the size")
    parser.add_argument("--again", action="store_true", help="replace the rows of these attacks in docs/reliability.md")
    parser.add_argument("--database", choices=["postgres", "sqlite"], help="default: postgres")
    arguments = parser.parse_args()
    extent = SHORT if arguments.short else FULL
    extent = replace(extent, database=arguments.database or extent.database)
    chosen = [
        attack
        for name, attack in ATTACKS.items()
        if not arguments.attacks or any(part in name for part in arguments.attacks)
    ]
    results = run(chosen, extent, lambda text: print(text, flush=True))
    print(table(results))
    if len(chosen) == len(ATTACKS) and not arguments.short:
        write(results, extent)
    elif arguments.again:
        write_again(results)
    return int(any(map(missed, results)))


if __name__ == "__main__":
    sys.exit(main())
