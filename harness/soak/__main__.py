"""`python -m harness.soak`: the whole of it, by the settings `CHAINRULE_SOAK_…` (see `plan.py`)."""

import sys

from harness.soak.plan import Load
from harness.soak.run import soak, table

told = soak(Load.from_environment())
sys.stdout.write(f"{table(told)}\n")
sys.exit(bool(told.wrong()))
