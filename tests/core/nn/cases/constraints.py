"""A table of constraints and their effect: at least one row for each member."""

from typing import Any

from core.nn import constraints

CONSTRAINTS: list[tuple[constraints.Constraint, list[Any], list[Any]]] = [  # a weight (2, 3) before and after
    (constraints.MaxNorm(), [[3, 1, -6], [4, -1, 8]], [[1.2, 1, -1.2], [1.6, -1, 1.6]]),
    (constraints.MaxNorm(max_value=5, axis=1), [[3, 0, 4], [-6, 8, 0]], [[3, 0, 4], [-3, 4, 0]]),
    (
        constraints.MaxNorm(max_value=1, axis=(1, 0)),
        [[1, 1, 1], [1, 2, 1]],
        [[1 / 3, 1 / 3, 1 / 3], [1 / 3, 2 / 3, 1 / 3]],
    ),
    (constraints.UnitNorm(), [[3, 0, -6], [4, 0, 8]], [[0.6, 0, -0.6], [0.8, 0, 0.8]]),
    (constraints.UnitNorm(axis=1), [[0.3, 0, 0.4], [0, 0, -5]], [[0.6, 0, 0.8], [0, 0, -1]]),
    (constraints.NonNegative(), [[3, 0, -6], [-4, 1, 8]], [[3, 0, 0], [0, 1, 8]]),
]
