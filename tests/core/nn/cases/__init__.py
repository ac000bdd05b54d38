"""Tables of cases, one file for each kind, with at least one row for each member.

`test_tagged_union` fails until a new member has its row. The tests of all members of a kind run over its table.
"""

from tests.core.nn.cases.activations import ACTIVATIONS
from tests.core.nn.cases.constraints import CONSTRAINTS
from tests.core.nn.cases.initializers import INITIALIZERS
from tests.core.nn.cases.layers import L2, LAYERS, SHORT, LayerCase, sequential
from tests.core.nn.cases.losses import LOSSES, LossCase, random_targets
from tests.core.nn.cases.metrics import METRICS
from tests.core.nn.cases.optimizers import OPTIMIZERS, PLAIN
from tests.core.nn.cases.regularizers import REGULARIZERS
from tests.core.nn.cases.schedules import SCHEDULES, ScheduleCase

__all__ = [
    "ACTIVATIONS",
    "CONSTRAINTS",
    "INITIALIZERS",
    "L2",
    "LAYERS",
    "LOSSES",
    "METRICS",
    "OPTIMIZERS",
    "PLAIN",
    "REGULARIZERS",
    "SCHEDULES",
    "SHORT",
    "LayerCase",
    "LossCase",
    "ScheduleCase",
    "random_targets",
    "sequential",
]
