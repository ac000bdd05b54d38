"""The rules that a spec must satisfy."""

from typing import Any

import pytest

from core.jobs.rules import ERROR_RULES
from tests.core.jobs.specs import (
    BUCKETED,
    EMBEDDING,
    MIXUP,
    NUMBERS,
    SEQUENCES,
    THREE_CLASSES,
    TWO_CLASSES,
    a_spec,
    cost_of,
    dense,
    error_of,
)

INVALID: list[tuple[dict[str, Any], str, str]] = [
    (
        {"layers": [{"type": "flatten"}], "data": {**NUMBERS, "y": [[1, 2]] * 4}},
        "/architecture/layers",
        "add a layer",
    ),
    ({"layers": [dense(1, trainable=False)]}, "/architecture/layers", "make one trainable"),
    (
        {"data": THREE_CLASSES, "layers": [dense(3, activation="softmax")]},
        "/architecture/layers/0/activation",
        "itself",
    ),
    (
        {"data": TWO_CLASSES, "layers": [dense(1), {"type": "activation", "activation": "sigmoid"}]},
        "/architecture/layers/1/activation",
        "itself",
    ),
    (
        {
            "data": {"type": "inline", "x": [[[1], [2]]], "y": [[[1], [0]]]},
            "layers": [{"type": "conv1d", "filters": 1, "kernel_size": 1, "activation": "sigmoid"}],
            "loss": "binary_cross_entropy",
        },
        "/architecture/layers/0/activation",
        "binary_cross_entropy applies sigmoid itself",
    ),
    ({"training": {"metrics": ["r2", "accuracy"]}}, "/training/metrics/1", "leave it out"),
    ({"training": {"metrics": ["r2", "r2"]}}, "/training/metrics/1", "given twice"),
    (
        {"training": {"early_stopping": {"monitor": "val_loss"}}},
        "/training/early_stopping/monitor",
        'set /data/validation, such as {"fraction": 0.2}, or choose one of loss',
    ),
    ({"training": {"early_stopping": {"monitor": "mae"}}}, "/training/early_stopping/monitor", "did you mean mean_abs"),
    ({"training": {"target": {"monitor": "los", "value": 0}}}, "/training/target/monitor", "did you mean loss?"),
    (
        {"training": {"target": {"monitor": "f1", "value": 1}}},
        "/training/target/monitor",
        "mean_absolute_error",
    ),
    (
        {
            "data": {**NUMBERS, "y": [[0, 1], [1, 1], [0, 0], [1, 0]]},
            "layers": [dense(2)],
            "loss": "binary_cross_entropy",
            "training": {"metrics": ["accuracy", "confusion_matrix"]},
        },
        "/training/metrics/1",
        "needs one class per row",
    ),
    (
        {
            "data": {**TWO_CLASSES, "y": [0, 1, 0, 1]},
            "layers": [dense(101)],
            "loss": "cross_entropy",
            "training": {"metrics": ["confusion_matrix"]},
        },
        "/training/metrics/0",
        "for 100 classes at most",
    ),
    (
        {"optimizer": "lbfgs", "training": {"batch_size": 3}},
        "/training/batch_size",
        "lbfgs needs all rows in each batch: set it to 4 or more",
    ),
    (
        {
            "optimizer": {
                "type": "clip_by_norm",
                "max_norm": 1,
                "optimizer": {
                    "type": "weight_decay",
                    "weight_decay": 0.1,
                    "weights": ["*/kernel", "layers/7/*"],
                    "optimizer": "adam",
                },
            }
        },
        "/optimizer/optimizer/weights/1",
        "matches none of the weights, which are layers/0/kernel, layers/0/bias",
    ),
    (
        {
            "optimizer": {
                "type": "learning_rate_multipliers",
                "multipliers": {"kernel/*": 2},
                "optimizer": "adam",
            }
        },
        "/optimizer/multipliers/kernel~1*",
        "matches none of the weights",
    ),
    *(
        (
            {"data": TWO_CLASSES, "layers": [dense(2)], "loss": loss, "training": MIXUP},
            "/training/mixup",
            message,
        )
        for loss, message in {"triplet": "whole embeddings", "categorical_hinge": "use cross_entropy"}.items()
    ),
    (
        {"layers": [{"type": "embedding", "input_dim": 9, "output_dim": 2}, "flatten", dense(1)], "training": MIXUP},
        "/training/mixup",
        "category numbers",
    ),
    (
        {
            "data": {"type": "inline", "x": [[[1], [2]], [[3]]], "y": [1, 2], "padding": {}},
            "layers": ["masking", {"type": "gru", "units": 2}, dense(1)],
            "training": MIXUP,
        },
        "/training/mixup",
        "rows of different lengths",
    ),
    (
        {
            "data": {"type": "inline", "x": [[[1], [2]], [[3], [4]]], "y": [[1, 0], [2, 2]]},
            "layers": [dense(3)],
            "loss": "ctc",
            "training": MIXUP,
        },
        "/training/mixup",
        "whole labels",
    ),
]


@pytest.mark.parametrize(("body", "place", "message"), INVALID)
def test_violated_rule_is_an_error_at_its_pointer(body: dict[str, Any], place: str, message: str) -> None:
    error = error_of(a_spec(**body))
    assert error.code == "invalid_spec"
    assert place in [pointer for pointer, _ in error.errors]
    assert message in str(error)


def test_full_batch_optimizer_accepts_batches_of_all_rows() -> None:
    spec = a_spec(optimizer="lbfgs", training={"batch_size": 4})
    assert cost_of(spec).steps == 10


NOT_BUCKETABLE: list[tuple[dict[str, Any], list[Any], str]] = [
    (NUMBERS, [dense(1)], "set padding in data"),
    (
        SEQUENCES | {"padding": {"side": "pre"}},
        [EMBEDDING, {"type": "gru", "units": 2}, dense(1)],
        "set padding in data",
    ),
    (SEQUENCES, [EMBEDDING, {"type": "flatten"}, dense(1)], "has other weights or outputs for 1 steps than for 4"),
]


@pytest.mark.parametrize(("data", "layers", "message"), NOT_BUCKETABLE)
def test_bucketing_of_what_cannot_be_cut_is_an_error(data: dict[str, Any], layers: list[Any], message: str) -> None:
    error = error_of(a_spec(data, layers, **BUCKETED))
    assert [place for place, _ in error.errors] == ["/training/bucket_by_length"]
    assert message in str(error)


def test_every_rule_gives_its_reason() -> None:
    assert all(rule.__doc__ for rule in ERROR_RULES)
