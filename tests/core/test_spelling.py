"""Tests of close spellings."""

import pytest

from core.spelling import MAX_COMPARED_CHARACTERS, choices, closest, did_you_mean, plain

NAMES = ("dense", "relu", "conv2d", "batch_normalization", "learning_rate", "CHAINRULE_DATABASE_URL", "größe")

CLOSE = [
    ("dence", "dense"),
    ("Dense", "dense"),
    ("nn.ReLU()", "relu"),
    ("Conv2D", "conv2d"),
    ("tf.keras.layers.BatchNormalization", "batch_normalization"),
    ("batch_normalisation", "batch_normalization"),
    ("learning-rate", "learning_rate"),
    ("CHAINRULE_DATABSE_URL", "CHAINRULE_DATABASE_URL"),
    ("Größe", "größe"),
    ("xyz", None),
    ("", None),
    ("???", None),
    ("d" * (MAX_COMPARED_CHARACTERS + 1), None),
]


@pytest.mark.parametrize(("name", "meant"), CLOSE)
def test_closest(name: str, meant: str | None) -> None:
    assert closest(name, NAMES) == meant


def test_plain_name_is_one_for_all_ways_to_write_it() -> None:
    assert {plain(name) for name in ("Conv2D", "conv_2d", "nn.Conv2d", "conv-2d", "Conv2D()")} == {"conv2d"}


def test_choices_lists_a_few_names_of_many() -> None:
    assert choices(["a", "b"], "/docs") == "a, b"
    assert (
        choices([f"n{i}" for i in range(50)], "/docs")
        == f"{', '.join(f'n{i}' for i in range(12))}, … (/docs lists all 50)"
    )


def test_did_you_mean_is_empty_where_nothing_is_close() -> None:
    assert did_you_mean("dence", NAMES) == "did you mean dense? "
    assert did_you_mean("xyz", NAMES) == ""
