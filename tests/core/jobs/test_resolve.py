"""What can be known to be wrong with a spec is refused, at its pointer; a right one knows its cost."""

import json
from typing import Any

import pytest

from core.data.prepare import prepare, signature
from core.jobs.resolve import Estimate, InvalidSpec, Limits, _kept, check, require_weights_of, resolve
from core.jobs.spec import JobSpec
from core.nn.losses.binary import BinaryCrossEntropy
from core.nn.losses.categorical import CrossEntropy
from core.nn.losses.regression import MeanSquaredError
from core.nn.metrics.ranking import kept_bytes
from core.nn.network import Network
from core.nn.training.mixup import mixed_bytes
from tests.core.nn.cases import LAYERS, sequential

NUMBERS = {"type": "inline", "x": [[1, 2], [3, 4], [5, 6], [7, 8]], "y": [1, 2, 3, 4]}
WORDS = {"type": "inline", "x": [[1, 2], [3, 4], [5, 6], [7, 8]], "y": ["cat", "dog", "cat", "dog"]}
THREE = {"type": "inline", "x": [[1], [2], [3]], "y": ["a", "b", "c"]}
BITS = {"type": "inline", "x": [[1], [2], [3]], "y": [0, 1, 1]}


def dense(units: int, **more: Any) -> dict[str, Any]:
    """A dense layer of so many units."""
    return {"type": "dense", "units": units, **more}


def a_spec(data: dict[str, Any] = NUMBERS, layers: list[Any] | None = None, **more: Any) -> JobSpec:
    """A spec with full defaults."""
    body = {"data": data, "architecture": {"layers": layers or [dense(1)]}, **more}
    return JobSpec.model_validate_json(json.dumps(body))


def refused(spec: JobSpec, **limits: int) -> InvalidSpec:
    """Why it is refused."""
    with pytest.raises(InvalidSpec) as caught:
        check(spec, signature(spec.data, None), Limits(**limits))
    return caught.value


@pytest.mark.parametrize(
    ("data", "units", "loss"),
    [
        (NUMBERS, 1, MeanSquaredError()),
        (WORDS, 1, BinaryCrossEntropy()),
        (WORDS, 2, CrossEntropy()),
        (THREE, 3, CrossEntropy()),
    ],
)
def test_the_data_says_the_loss(data: dict[str, Any], units: int, loss: Any) -> None:
    spec = a_spec(data, [dense(units)])
    resolved = resolve(spec, signature(spec.data, None))
    assert resolved.loss == loss
    assert resolved.training.metrics
    assert resolved.training.metrics[0].predicts == loss.predicts


@pytest.mark.parametrize(("loss", "units"), [("cross_entropy", 2), ("binary_cross_entropy", 1), ("cross_entropy", 5)])
def test_whole_numbers_may_be_classes(loss: str, units: int) -> None:
    spec = a_spec(BITS, [dense(units)], loss=loss)
    resolved = resolve(spec, signature(spec.data, None))
    fitted = resolved.fit(prepare(spec.data, None, 0))
    assert resolved.classes == units if loss == "cross_entropy" else 2
    assert fitted.y.tolist() == [0, 1, 1]


MIXED = {"mixup": {"alpha": 0.2}}

REFUSED: list[tuple[dict[str, Any], str, str, str]] = [
    ({"layers": [dense(3)]}, "/architecture/layers/0", "shape_mismatch", "emits (3,)"),
    (
        {"layers": [dense(2), {"type": "reshape", "target_shape": [3]}]},
        "/architecture/layers/1",
        "shape_mismatch",
        "do not fill",
    ),
    (
        {"layers": [{"type": "flatten"}], "data": {**NUMBERS, "y": [[1, 2]] * 4}},
        "/architecture/layers",
        "invalid_spec",
        "add a layer",
    ),
    ({"layers": [dense(1, trainable=False)]}, "/architecture/layers", "invalid_spec", "let one be trainable"),
    ({"data": WORDS, "loss": "mean_squared_error"}, "/loss", "invalid_spec", "cross_entropy"),
    ({"data": THREE, "layers": [dense(2)]}, "/architecture/layers/0", "shape_mismatch", "3 classes"),
    ({"data": THREE, "layers": [dense(1)], "loss": "binary_cross_entropy"}, "/loss", "invalid_spec", "3 classes"),
    (
        {"data": THREE, "layers": [dense(3, activation="softmax")]},
        "/architecture/layers/0/activation",
        "invalid_spec",
        "itself",
    ),
    (
        {"data": WORDS, "layers": [dense(1), {"type": "activation", "activation": "sigmoid"}]},
        "/architecture/layers/1/activation",
        "invalid_spec",
        "itself",
    ),
    ({"training": {"metrics": ["r2", "accuracy"]}}, "/training/metrics/1", "invalid_spec", "leave it out"),
    (
        {"training": {"early_stopping": {"monitor": "val_loss"}}},
        "/training/early_stopping/monitor",
        "invalid_spec",
        "choose one of loss",
    ),
    (
        {"training": {"target": {"monitor": "f1", "value": 1}}},
        "/training/target/monitor",
        "invalid_spec",
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
        "invalid_spec",
        "of rows of one class each",
    ),
    (
        {
            "data": {**WORDS, "y": [0, 1, 0, 1]},
            "layers": [dense(101)],
            "loss": "cross_entropy",
            "training": {"metrics": ["confusion_matrix"]},
        },
        "/training/metrics/0",
        "invalid_spec",
        "for 100 classes at most",
    ),
    (
        {"optimizer": "lbfgs", "training": {"batch_size": 3}},
        "/training/batch_size",
        "invalid_spec",
        "lbfgs steps by all rows at once: let it be at least 4",
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
        "invalid_spec",
        "fits none of the weights: there are layers/0/kernel, layers/0/bias",
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
        "invalid_spec",
        "fits none of the weights",
    ),
    *(
        (
            {"data": WORDS, "layers": [dense(2)], "loss": loss, "training": MIXED},
            "/training/mixup",
            "invalid_spec",
            words,
        )
        for loss, words in {"triplet": "whole embeddings", "categorical_hinge": "choose cross_entropy"}.items()
    ),
    (
        {"layers": [{"type": "embedding", "input_dim": 9, "output_dim": 2}, "flatten", dense(1)], "training": MIXED},
        "/training/mixup",
        "invalid_spec",
        "whole numbers that stand for something",
    ),
    (
        {
            "data": {"type": "inline", "x": [[[1], [2]], [[3]]], "y": [1, 2], "padding": {}},
            "layers": ["masking", {"type": "gru", "units": 2}, dense(1)],
            "training": MIXED,
        },
        "/training/mixup",
        "invalid_spec",
        "rows of different lengths",
    ),
    (
        {
            "data": {"type": "inline", "x": [[[1], [2]], [[3], [4]]], "y": [[1, 0], [2, 2]]},
            "layers": [dense(3)],
            "loss": "ctc",
            "training": MIXED,
        },
        "/training/mixup",
        "invalid_spec",
        "whole labels",
    ),
    ({"limits": {"memory": 10**12}}, "/limits/memory", "limit_exceeded", "at most that"),
    ({"limits": {"flops": 10**15}}, "/limits/flops", "limit_exceeded", "at most that"),
    ({"limits": {"memory": 10}}, "/architecture", "limit_exceeded", "bytes of memory, and 10 are allowed"),
    ({"limits": {"flops": 10}}, "/architecture", "limit_exceeded", "a step, and 10 are allowed"),
    ({"layers": [dense(10**6), dense(10**6), dense(1)]}, "/architecture", "limit_exceeded", "parameters"),
    ({"layers": [dense(2**31 - 1)] * 40 + [dense(1)]}, "/architecture", "limit_exceeded", "more than 10^"),
]


@pytest.mark.parametrize(("body", "pointer", "code", "words"), REFUSED)
def test_what_is_wrong_is_refused_at_its_pointer(body: dict[str, Any], pointer: str, code: str, words: str) -> None:
    error = refused(a_spec(**body))
    assert error.code == code
    assert pointer in [place for place, _ in error.errors]
    assert words in str(error)


def test_lbfgs_takes_whole_batches() -> None:
    spec = a_spec(optimizer="lbfgs", training={"batch_size": 4})
    assert check(spec, signature(spec.data, None), Limits()).steps == 10


def test_what_an_optimizer_remembers_costs_its_memory() -> None:
    sign = signature(a_spec().data, None)
    none, adam, factored, around = (
        check(a_spec(layers=[dense(30), dense(1)], optimizer=optimizer), sign, Limits()).bytes
        for optimizer in ("gradient_descent", "adam", "adafactor", {"type": "lookahead", "optimizer": "adafactor"})
    )
    parameters, remembered = 2 * 30 + 30 + 30 + 1, (2 + 30) + (30 + 1) + (30 + 1)
    assert (adam - none, factored - none) == (4 * 2 * parameters, 4 * remembered)
    assert around - factored == 4 * parameters


def test_a_second_pass_costs_the_operations_of_the_first_and_no_memory() -> None:
    def of(optimizer: Any, training: dict[str, int], units: int = 30) -> Estimate:
        spec = a_spec(layers=[dense(units), dense(1)], optimizer=optimizer, training=training)
        return check(spec, signature(spec.data, None), Limits())

    aware = {"type": "sharpness_aware", "optimizer": "gradient_descent"}
    one, two, four = (of(*each) for each in (("gradient_descent", {"batch_size": 2}), (aware, {"batch_size": 2}),
                                             ("gradient_descent", {"batch_size": 4})))  # fmt: skip
    assert two.flops == four.flops
    assert two.bytes == one.bytes
    assert two.flops > 1.5 * one.flops


def test_a_metric_that_keeps_every_row_costs_its_memory() -> None:
    steps = {"type": "inline", "x": [[1, 2, 3]] * 8, "y": [[0, 1, 4]] * 8}
    words = [{"type": "embedding", "input_dim": 5, "output_dim": 2}, dense(5)]
    bare, ranked, both = (
        check(a_spec(steps, words, loss="cross_entropy", training={"metrics": names}), sign, Limits()).bytes
        for names in ([], ["roc_auc"], ["roc_auc", "pr_auc"])
        for sign in [signature(a_spec(steps).data, None)]
    )
    assert ranked - bare == both - ranked == kept_bytes(8, (3, 5)) > 8 * 8 * 3 * 6


def test_several_questions_of_a_row_are_ranked_as_rows() -> None:
    bits = {"type": "inline", "x": [[1, 2, 3]] * 8, "y": [[0, 1, 1]] * 8}
    bare, ranked = (
        check(a_spec(bits, [dense(3)], loss="binary_cross_entropy", training={"metrics": names}), sign, Limits()).bytes
        for names in ([], ["roc_auc"])
        for sign in [signature(a_spec(bits).data, None)]
    )
    assert ranked - bare == kept_bytes(8, (3, 1)) == kept_bytes(24, (1,))


def test_mixtures_cost_their_memory() -> None:
    plain, mixed = (
        check(spec, signature(spec.data, None), Limits()).bytes
        for spec in (a_spec(training={"batch_size": 3} | more) for more in ({}, MIXED))
    )
    assert mixed - plain == mixed_bytes(3, (2,), (1,))


@pytest.mark.parametrize(
    ("limit", "noun"), [("parameters", "parameters"), ("memory", "bytes"), ("flops", "floating"), ("layers", "layers")]
)
def test_every_limit_holds(limit: str, noun: str) -> None:
    assert noun in str(refused(a_spec(layers=[dense(3), dense(1)]), **{limit: 1}))


def test_a_right_spec_knows_its_cost() -> None:
    spec = a_spec(layers=[dense(8, activation="relu"), {"type": "sequential", "layers": [dense(1)]}])
    found = check(spec, signature(spec.data, None), Limits())
    assert found.parameters == (2 * 8 + 8) + (8 + 1)
    assert [(layer.pointer, layer.output_shape, layer.parameters) for layer in found.layers] == [
        ("/architecture/layers/0", (8,), 24),
        ("/architecture/layers/1", (1,), 9),
        ("/architecture/layers/1/layers/0", (1,), 9),
    ]
    assert found.steps == 10
    assert found.flops > 0
    assert found.bytes > 4 * 5 * found.parameters


def test_layers_inside_others_are_told_by_their_place() -> None:
    beside = {"type": "parallel", "branches": [dense(2), dense(3)]}
    spec = a_spec(
        layers=[{"type": "repeat", "n": 2, "layer": {"type": "residual", "layer": dense(2)}}, beside, dense(1)]
    )
    found = check(spec, signature(spec.data, None), Limits())
    assert [layer.pointer.removeprefix("/architecture/layers/") for layer in found.layers] == [
        "0", *["0/layer", "0/layer/layer"] * 2, "1", "1/branches/0", "1/branches/1", "2",
    ]  # fmt: skip
    assert sum(layer.parameters for layer in found.layers if layer.type == "dense") == found.parameters


def test_a_doubtful_spec_is_warned_about() -> None:
    spec = a_spec(training={"early_stopping": {}, "batch_size": 100})
    words = " ".join(check(spec, signature(spec.data, None), Limits()).warnings)
    assert "batch_size" in words
    assert "validation" in words


def test_weights_are_held_against_another_net_through_every_composite() -> None:
    """The first place that differs is told, however deep, and no part goes unseen."""
    for case in LAYERS:
        net = Network(sequential(case.layer), case.input_shape)
        require_weights_of(net.architecture, net, net)
        seen = sum(words.count("(") for _, words in _kept(net.architecture, net.plan))
        assert seen == sum(len(plan.weights) + len(plan.statistics) for plan in net.plan.every()), case.layer.type


WORDS_OF_TWO = {"type": "embedding", "input_dim": 9, "output_dim": 2}
TAGGED = [{"type": "masking", "mask_value": -1.0}, {"type": "lstm", "units": 2}, dense(1)]
RAGGED = {"type": "inline", "x": [[1, 2, 3, 4], [3]], "y": [1, 2], "padding": {}}
BUCKETED = {"training": {"bucket_by_length": True}}
UNCUT: list[tuple[dict[str, Any], list[Any], str]] = [
    (NUMBERS, [dense(1)], "say so by padding"),
    (RAGGED | {"padding": {"side": "pre"}}, [WORDS_OF_TWO, {"type": "gru", "units": 2}, dense(1)], "say so by padding"),
    (RAGGED, [WORDS_OF_TWO, {"type": "flatten"}, dense(1)], "has other weights or outputs for 1 steps than for 4"),
]


@pytest.mark.parametrize(("data", "layers", "words"), UNCUT)
def test_what_cannot_be_cut_by_length_is_refused(data: dict[str, Any], layers: list[Any], words: str) -> None:
    error = refused(a_spec(data, layers, **BUCKETED))
    assert [place for place, _ in error.errors] == ["/training/bucket_by_length"]
    assert words in str(error)


def test_batches_cut_by_length_take_no_more_memory_than_whole_ones() -> None:
    net = [WORDS_OF_TWO | {"mask_zero": True}, {"type": "gru", "units": 2}, dense(1)]
    cut, whole = (a_spec(RAGGED, net, **more) for more in (BUCKETED, {}))
    sizes = [check(spec, signature(spec.data, None), Limits()).bytes for spec in (cut, whole)]
    assert sizes[0] == sizes[1]


PADDED: list[tuple[list[Any], Any, float, bool]] = [
    ([WORDS_OF_TWO | {"mask_zero": True}, {"type": "lstm", "units": 2}, dense(1)], [[1, 2], [3]], 0.0, True),
    ([WORDS_OF_TWO, {"type": "lstm", "units": 2}, dense(1)], [[1, 2], [3]], 0.0, False),
    ([WORDS_OF_TWO | {"mask_zero": True}, {"type": "lstm", "units": 2}, dense(1)], [[1, 2], [3]], 8.0, False),
    (TAGGED, [[[1], [2]], [[3]]], -1.0, True),
    (TAGGED, [[[1], [2]], [[3]]], 0.0, False),
    ([{"type": "sequential", "layers": TAGGED}], [[[1], [2]], [[3]]], -1.0, True),
    ([{"type": "flatten"}, dense(1)], [[[1], [2]], [[3]]], 0.0, False),
]


@pytest.mark.parametrize(("layers", "x", "value", "hidden"), PADDED)
def test_padding_that_counts_as_steps_is_warned_about(layers: list[Any], x: Any, value: float, hidden: bool) -> None:
    spec = a_spec({"type": "inline", "x": x, "y": [1, 2], "padding": {"value": value}}, layers)
    warnings = check(spec, signature(spec.data, None), Limits()).warnings
    assert any("begin the net with masking" in words for words in warnings) != hidden
