"""A table of regularizers and their penalties: at least one row for each member."""

from core.nn import regularizers

REGULARIZERS: list[tuple[regularizers.Regularizer, float]] = [  # the penalty on (1, -2, 3)
    (regularizers.L1(l1=0.5), 3.0),
    (regularizers.L2(l2=0.5), 7.0),
    (regularizers.L1L2(l1=0.5, l2=0.5), 10.0),
    (regularizers.OrthogonalRegularizer(factor=0.5), 84.5),
]
