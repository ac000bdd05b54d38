"""The outputs and targets that each loss can compare."""

import pytest

from core.nn.losses import Loss
from core.nn.losses.base import Mismatch, Targets
from core.nn.losses.binary import BinaryCrossEntropy, Dice, Hinge
from core.nn.losses.categorical import CrossEntropy
from core.nn.losses.regression import (
    CosineSimilarity,
    GaussianNegativeLogLikelihood,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    Poisson,
)

# The last column: None if they fit, else whether the output must change.
MISMATCHES: list[tuple[Loss, Targets, tuple[int, ...], bool | None]] = [
    (MeanSquaredError(), Targets(), (1,), None),
    (MeanSquaredError(), Targets(), (2,), True),
    (MeanSquaredError(), Targets(classes=3), (3,), False),
    (BinaryCrossEntropy(), Targets(classes=2), (1,), None),
    (BinaryCrossEntropy(), Targets(classes=2), (2,), True),
    (BinaryCrossEntropy(), Targets(classes=3), (1,), False),
    (BinaryCrossEntropy(), Targets(min=0, max=1), (1,), None),
    (BinaryCrossEntropy(), Targets(shape=(4,), min=0, max=1), (4,), None),
    (BinaryCrossEntropy(), Targets(min=0, max=2), (1,), False),
    (BinaryCrossEntropy(), Targets(min=0, max=1), (3,), True),
    (CrossEntropy(), Targets(classes=3), (3,), None),
    (CrossEntropy(), Targets(classes=3), (4,), True),
    (CrossEntropy(), Targets(integers=True, min=0, max=2), (3,), None),
    (CrossEntropy(), Targets(integers=True, min=0, max=3), (3,), True),
    (CrossEntropy(), Targets(integers=True, min=-1, max=2), (3,), True),
    (CrossEntropy(), Targets(min=0, max=2), (3,), False),
    (CrossEntropy(), Targets(shape=(3,), min=0, max=1), (3,), None),
    (CrossEntropy(), Targets(shape=(3,)), (3,), False),
    (CrossEntropy(), Targets(integers=True, min=0, max=0), (1,), True),
    (CrossEntropy(), Targets(integers=True, min=0, max=1), (2, 2), True),
    (CrossEntropy(class_weight=(1, 2, 3)), Targets(classes=3), (3,), None),
    (CrossEntropy(class_weight=(1, 2)), Targets(classes=3), (3,), False),
    (MeanSquaredLogarithmicError(), Targets(min=0), (1,), None),
    (MeanSquaredLogarithmicError(), Targets(min=-1), (1,), False),
    (Poisson(), Targets(min=0), (1,), None),
    (Poisson(), Targets(min=-1), (1,), False),
    (Poisson(), Targets(classes=3), (3,), False),
    (GaussianNegativeLogLikelihood(), Targets(), (2,), None),
    (GaussianNegativeLogLikelihood(), Targets(shape=(4, 3)), (4, 6), None),
    (GaussianNegativeLogLikelihood(), Targets(), (1,), True),
    (CosineSimilarity(), Targets(shape=(2,)), (2,), None),
    (CosineSimilarity(), Targets(), (1,), True),
    (CrossEntropy(), Targets(shape=(3,), integers=True, min=0, max=4), (3, 5), None),
    (CrossEntropy(), Targets(shape=(3, 5), min=0, max=1), (3, 5), None),
    (CrossEntropy(), Targets(shape=(4,), integers=True, min=0, max=4), (3, 5), True),
    (CrossEntropy(), Targets(integers=True, min=0, max=4), (3, 5), True),
    (CrossEntropy(), Targets(shape=(3,), integers=True, min=0, max=5), (3, 5), True),
    (CrossEntropy(), Targets(shape=(3,), min=0, max=4), (3, 5), False),
    (Hinge(), Targets(classes=2), (1,), None),
    (Hinge(), Targets(classes=3), (1,), False),
    (Dice(), Targets(shape=(2, 2), min=0, max=1), (2, 2), None),
    (Dice(), Targets(min=0, max=1), (1,), False),
]


@pytest.mark.parametrize(("loss", "targets", "output", "output_must_change"), MISMATCHES)
def test_loss_mismatch_of_targets_and_output(
    loss: Loss, targets: Targets, output: tuple[int, ...], output_must_change: bool | None
) -> None:
    mismatch = loss.mismatch(targets, output)
    if output_must_change is None:
        assert mismatch is None
    else:
        assert isinstance(mismatch, Mismatch)
        assert mismatch.output == output_must_change
