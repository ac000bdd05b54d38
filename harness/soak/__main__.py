"""`python -m harness.soak`: the soak run with the settings `CHAINRULE_SOAK_…` (see `plan.py`)."""

import sys

from harness.soak.plan import Load
from harness.soak.run import soak, table

report = soak(Load.from_environment())
sys.stdout.write(f"{table(report)}\n")
sys.exit(bool(report.failures()))
