"""Tests of core/jobs/auto.py: what is chosen for a signature. That it learns is tested over HTTP."""

import json
from dataclasses import replace
from typing import Any

import pytest

from core.data.prepare import Signature
from core.data.targets.classes import Classes
from core.data.targets.numbers import Numbers
from core.jobs.auto import asks_for_auto, completed
from core.jobs.resolve import resolve
from core.jobs.spec import JobSpec

NUMBERS = Numbers(shape=(1,), integers=False, min=0.0, max=9e4, distinct=None)
IDS = Numbers(shape=(1,), integers=True, min=0.0, max=9.0, distinct=10)
TABLE = Signature(
    rows=500,
    train_rows=500,
    validation_rows=0,
    test_rows=0,
    input_shape=(12,),
    target=Classes(names=("a", "b", "c")),
    class_counts=[300, 150, 50],
)
SPEC: dict[str, Any] = {"data": {"type": "dataset", "id": "ds_1", "target": "y"}}


def made(signature: Signature, spec: dict[str, Any] = SPEC) -> Any:
    return json.loads(completed(json.dumps(spec).encode(), signature))


def kinds(spec: Any) -> list[str]:
    return [layer["type"] for layer in spec["architecture"]["layers"]]


@pytest.mark.parametrize(
    ("text", "asks"),
    [
        ('{"data": 1}', True),
        ('{"data": 1, "architecture": "auto"}', True),
        ('{"data": 1, "architecture": {"layers": []}, "name": "auto"}', False),
        ('{"data": 1, "metadata": {"architecture": "auto"}}', True),
        ('{"architecture": "automatic"}', False),
        ("[1]", False),
        ("{", False),
    ],
)
def test_spec_without_architecture_is_recognized(text: str, asks: bool) -> None:
    assert asks_for_auto(text.encode()) is asks


def test_classes_of_a_table_are_held_out_alike() -> None:
    spec = made(TABLE)
    assert spec["data"]["validation"] == {"fraction": 0.2, "stratify": True}
    assert kinds(spec) == ["dense", "dense", "dense"]
    assert spec["architecture"]["layers"][-1] == {"type": "dense", "units": 3}
    assert spec["training"]["early_stopping"]["restore_best_weights"]
    assert "loss" not in spec
    assert made(replace(TABLE, class_counts=[498, 1, 1]))["data"]["validation"] == {"fraction": 0.2}


def test_what_the_client_says_is_kept() -> None:
    given = SPEC | {
        "data": SPEC["data"] | {"split": {"type": "time", "column": "day", "validation": 0.1}},
        "loss": "focal",
        "optimizer": {"type": "sgd"},
        "training": {"epochs": 3, "seed": 9},
        "name": "mine",
    }
    spec = made(TABLE, given)
    assert {name: spec[name] for name in ("data", "loss", "optimizer", "name")} == {
        name: given[name] for name in ("data", "loss", "optimizer", "name")
    }
    assert (spec["training"]["epochs"], spec["training"]["seed"]) == (3, 9)


def test_few_rows_are_all_learnt_from() -> None:
    spec = made(replace(TABLE, rows=19))
    assert "validation" not in spec["data"]
    assert "early_stopping" not in spec["training"]


def test_numbers_are_answered_in_their_own_unit() -> None:
    spec = made(replace(TABLE, target=NUMBERS, class_counts=None, target_scale=(43_210.123, 1.5e4)))
    assert spec["architecture"]["layers"][-2:] == [
        {"type": "dense", "units": 1},
        {"type": "rescaling", "scale": 15_000, "offset": 43_210.1},
    ]
    several = replace(NUMBERS, shape=(2, 3))
    assert kinds(made(replace(TABLE, target=several, class_counts=None)))[-2:] == ["dense", "reshape"]


def test_integers_without_a_gap_are_classes() -> None:
    spec = made(replace(TABLE, target=IDS, class_counts=[50] * 10))
    assert (spec["loss"], spec["architecture"]["layers"][-1]["units"]) == ("cross_entropy", 10)
    two = replace(IDS, max=1.0, distinct=2)
    spec = made(replace(TABLE, target=two))
    assert (spec["loss"], spec["architecture"]["layers"][-1]["units"]) == ("binary_cross_entropy", 1)
    counted = made(replace(TABLE, target=replace(IDS, max=20.0), class_counts=None))
    assert ("loss" in counted, counted["architecture"]["layers"][-1]["units"]) == (False, 1)


@pytest.mark.parametrize(
    ("shape", "vocabulary", "expected"),
    [
        ((64,), 5000, ["embedding", "dropout", "conv1d", "global_max_pooling1d", "dense", "dense"]),
        ((8, 8, 1), None, ["conv2d", "max_pooling2d", "conv2d", "flatten", "dense", "dropout", "dense"]),
        ((4, 4, 3), None, ["conv2d", "flatten", "dense", "dropout", "dense"]),
        (
            (99, 40),
            None,
            [
                "layer_normalization",
                "conv1d",
                "max_pooling1d",
                "conv1d",
                "global_average_pooling1d",
                "dropout",
                "dense",
                "dense",
            ],
        ),
        ((3, 4, 5), None, ["flatten", "dense", "dense", "dense"]),
    ],
)
@pytest.mark.parametrize("rows", [30, 5_000, 10**6])
def test_net_follows_from_the_shape_and_is_valid(
    shape: tuple[int, ...], vocabulary: int | None, expected: list[str], rows: int
) -> None:
    signature = replace(TABLE, rows=rows, train_rows=rows, input_shape=shape, vocabulary=vocabulary)
    text = completed(json.dumps(SPEC).encode(), signature)
    found = kinds(json.loads(text))
    assert [kind for kind in found if kind != "dropout"] == [kind for kind in expected if kind != "dropout"]
    assert resolve(JobSpec.model_validate_json(text), replace(signature, validation_rows=6)).network.output_shape == (
        3,
    )


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 300, 4), (1, 1), (1,)])
def test_small_shapes_are_no_error(shape: tuple[int, ...]) -> None:
    signature = replace(TABLE, input_shape=shape)
    text = completed(json.dumps(SPEC).encode(), signature)
    assert resolve(JobSpec.model_validate_json(text), replace(signature, validation_rows=6)).network.output_shape == (
        3,
    )


def test_bounds_of_epochs_and_batches() -> None:
    assert made(replace(TABLE, rows=10**7))["training"]["epochs"] == 5
    assert made(replace(TABLE, rows=30))["training"]["epochs"] == 200
    batches = [made(replace(TABLE, rows=rows))["training"]["batch_size"] for rows in (30, 640, 20_000, 100_000)]
    assert batches == [16, 32, 128, 256]
