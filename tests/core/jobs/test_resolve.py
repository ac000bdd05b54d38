"""Resolution of a spec: network, default loss and metrics, class numbers."""

from typing import Any

import pytest

from core.data.prepare import prepare, signature
from core.jobs.resolve import resolve
from core.nn.losses.binary import BinaryCrossEntropy
from core.nn.losses.categorical import CrossEntropy
from core.nn.losses.regression import MeanSquaredError
from tests.core.jobs.specs import CLASS_NUMBERS, NUMBERS, THREE_CLASSES, TWO_CLASSES, a_spec, dense, error_of


@pytest.mark.parametrize(
    ("data", "units", "loss"),
    [
        (NUMBERS, 1, MeanSquaredError()),
        (TWO_CLASSES, 1, BinaryCrossEntropy()),
        (TWO_CLASSES, 2, CrossEntropy()),
        (THREE_CLASSES, 3, CrossEntropy()),
    ],
)
def test_default_loss_and_metrics_follow_the_data(data: dict[str, Any], units: int, loss: Any) -> None:
    spec = a_spec(data, [dense(units)])
    resolved = resolve(spec, signature(spec.data, None))
    assert resolved.loss == loss
    assert resolved.training.metrics
    assert resolved.training.metrics[0].predicts == loss.predicts


@pytest.mark.parametrize(("loss", "units"), [("cross_entropy", 2), ("binary_cross_entropy", 1), ("cross_entropy", 5)])
def test_whole_numbers_are_classes_for_a_classification_loss(loss: str, units: int) -> None:
    spec = a_spec(CLASS_NUMBERS, [dense(units)], loss=loss)
    resolved = resolve(spec, signature(spec.data, None))
    fitted = resolved.fit(prepare(spec.data, None, 0))
    assert resolved.classes == units if loss == "cross_entropy" else 2
    assert fitted.y.tolist() == [0, 1, 1]


MISMATCHED: list[tuple[dict[str, Any], str, str, str]] = [
    ({"layers": [dense(3)]}, "/architecture/layers/0", "shape_mismatch", "emits (3,)"),
    (
        {"layers": [dense(2), {"type": "reshape", "target_shape": [3]}]},
        "/architecture/layers/1",
        "shape_mismatch",
        "do not fill",
    ),
    ({"data": TWO_CLASSES, "loss": "mean_squared_error"}, "/loss", "invalid_spec", "cross_entropy"),
    ({"data": THREE_CLASSES, "layers": [dense(2)]}, "/architecture/layers/0", "shape_mismatch", "3 classes"),
    (
        {"data": THREE_CLASSES, "layers": [dense(1)], "loss": "binary_cross_entropy"},
        "/loss",
        "invalid_spec",
        "3 classes",
    ),
]


@pytest.mark.parametrize(("body", "place", "code", "message"), MISMATCHED)
def test_layers_data_and_loss_that_do_not_fit_are_an_error(
    body: dict[str, Any], place: str, code: str, message: str
) -> None:
    error = error_of(a_spec(**body))
    assert error.code == code
    assert [pointer for pointer, _ in error.errors] == [place]
    assert message in str(error)
