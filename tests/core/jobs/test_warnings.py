"""Warnings about specs: each code where it is meant, and none where all is well."""

from typing import Any

import pytest

from core.jobs.warnings import WARNINGS
from core.warnings import WarningMessage
from tests.core.jobs.specs import EMBEDDING, MASKED_LSTM, NUMBERS, TWO_CLASSES, a_spec, cost_of, dense

FEW = {"type": "inline", "x": [[1], [2], [3], [4], [5]], "y": [1, 2, 3, 4, 5]}
NORMALIZED: list[Any] = [dense(3), {"type": "batch_normalization"}, dense(1)]
LARGE = {**FEW, "y": [100, 2000, 30000, 4, 482138]}
SMALL = {**FEW, "y": [1e-5, 2e-5, 3e-5, 4e-5, 5e-5]}
HELD_OUT = {**FEW, "validation": {"fraction": 0.4}}
STOPS = {"early_stopping": {"patience": 3}, "epochs": 3, "batch_size": 3}
CASES: list[tuple[str, dict[str, Any], str]] = [
    ("batch_larger_than_data", {"training": {"batch_size": 100}}, "/training/batch_size"),
    ("early_stopping_without_validation", {"training": {"early_stopping": {}}}, "/training/early_stopping"),
    ("early_stopping_never_stops", {"data": HELD_OUT, "training": STOPS}, "/training/early_stopping/patience"),
    ("unmasked_padding", {"data": {"type": "inline", "x": [[1, 2], [3]], "y": [1, 2], "padding": {}}}, "/data/padding"),
    (
        "statistics_of_one_row",
        {"data": FEW, "layers": NORMALIZED, "training": {"batch_size": 1}},
        "/architecture/layers/1",
    ),
    (
        "statistics_of_one_row",
        {"data": FEW, "layers": NORMALIZED, "training": {"batch_size": 2}},
        "/architecture/layers/1",
    ),
    (
        "statistics_of_one_row",
        {"data": FEW, "layers": [{"type": "sequential", "layers": NORMALIZED}], "training": {"batch_size": 4}},
        "/architecture/layers/0/layers/1",
    ),
    ("softmax_of_one_unit", {"layers": [dense(1, activation="softmax")]}, "/architecture/layers/0"),
    (
        "softmax_of_one_unit",
        {"layers": [dense(1), {"type": "activation", "activation": "softmax"}]},
        "/architecture/layers/1",
    ),
    ("targets_out_of_reach", {"layers": [dense(1, activation="sigmoid")]}, "/architecture/layers/0/activation"),
    (
        "targets_out_of_reach",
        {"data": {**FEW, "y": [-1, 0, 1, 2, 3]}, "layers": [dense(4), dense(1, activation="relu")]},
        "/architecture/layers/1/activation",
    ),
    (
        "targets_out_of_reach",
        {"layers": [dense(4), {"type": "sequential", "layers": [dense(4), dense(1, activation="tanh")]}]},
        "/architecture/layers/1/layers/1/activation",
    ),
    ("small_class", {"data": {**FEW, "y": ["a", "a", "b", "a", "a"]}, "layers": [dense(2)]}, "/data/y"),
    ("small_class", {"data": {**FEW, "y": [0, 0, 2, 1, 1]}, "layers": [dense(3)], "loss": "cross_entropy"}, "/data/y"),
    ("targets_of_another_scale", {"data": LARGE}, "/data"),
    ("targets_of_another_scale", {"data": SMALL}, "/data"),
    ("dropout_at_the_end", {"layers": [dense(1), {"type": "dropout", "rate": 0.5}]}, "/architecture/layers/1"),
    (
        "dropout_at_the_end",
        {"layers": [{"type": "sequential", "layers": [dense(1), {"type": "spatial_dropout", "rate": 0.5}]}]},
        "/architecture/layers/0/layers/1",
    ),
]
FINE: list[dict[str, Any]] = [
    {"training": {"batch_size": 2}},
    {"data": FEW, "layers": NORMALIZED, "training": {"batch_size": 3}},
    {"data": FEW, "layers": NORMALIZED, "training": {"batch_size": 5}},
    {
        "data": FEW,
        "layers": [dense(3), {"type": "batch_normalization", "trainable": False}, dense(1)],
        "training": {"batch_size": 1},
    },
    {"data": TWO_CLASSES, "layers": [dense(2)], "training": {"batch_size": 4}},
    {
        "data": {**FEW, "y": [0, 0.5, 1, 0.2, 0.1]},
        "layers": [dense(1, activation="sigmoid")],
        "training": {"batch_size": 5},
    },
    {"data": LARGE, "optimizer": {"type": "adam", "learning_rate": 0.5}, "training": {"batch_size": 5}},
    {"layers": [{"type": "dropout", "rate": 0.5}, dense(1)], "training": {"batch_size": 4}},
]


def warnings_of(changes: dict[str, Any]) -> list[WarningMessage]:
    """Return the warnings of a spec."""
    changes = {"data": NUMBERS, **changes}
    return cost_of(a_spec(changes.pop("data"), changes.pop("layers", None), **changes)).warnings


def test_every_code_has_a_case() -> None:
    assert {code for code, _, _ in CASES} == set(WARNINGS)


@pytest.mark.parametrize(("code", "changes", "pointer"), CASES)
def test_what_is_probably_not_meant_is_warned_about(code: str, changes: dict[str, Any], pointer: str) -> None:
    found = [warning for warning in warnings_of(changes) if warning.code == code]
    assert [warning.pointer for warning in found] == [pointer]
    assert ": " in found[0].message  # what to do


@pytest.mark.parametrize("changes", FINE)
def test_what_is_well_is_not_warned_about(changes: dict[str, Any]) -> None:
    assert warnings_of(changes) == []


PADDED: list[tuple[list[Any], Any, float, bool]] = [
    ([EMBEDDING | {"mask_zero": True}, {"type": "lstm", "units": 2}, dense(1)], [[1, 2], [3]], 0.0, True),
    ([EMBEDDING, {"type": "lstm", "units": 2}, dense(1)], [[1, 2], [3]], 0.0, False),
    ([EMBEDDING | {"mask_zero": True}, {"type": "lstm", "units": 2}, dense(1)], [[1, 2], [3]], 8.0, False),
    (MASKED_LSTM, [[[1], [2]], [[3]]], -1.0, True),
    (MASKED_LSTM, [[[1], [2]], [[3]]], 0.0, False),
    ([{"type": "sequential", "layers": MASKED_LSTM}], [[[1], [2]], [[3]]], -1.0, True),
    ([{"type": "flatten"}, dense(1)], [[[1], [2]], [[3]]], 0.0, False),
]


@pytest.mark.parametrize(("layers", "x", "value", "masked"), PADDED)
def test_unmasked_padding_is_warned_about(layers: list[Any], x: Any, value: float, masked: bool) -> None:
    spec = a_spec({"type": "inline", "x": x, "y": [1, 2], "padding": {"value": value}}, layers)
    codes = [warning.code for warning in cost_of(spec).warnings]
    assert ("unmasked_padding" in codes) != masked
