"""Tests of core/data/features: every form of features keeps the interface."""

import json

import pytest

from core.data.features import FEATURES, Features, features_from_json
from core.data.features.arrays import ArrayFeatures
from core.data.features.sequences import SequenceFeatures
from core.data.features.table import TableFeatures
from tests.core.data.encoders.cases import CASES

ALL: dict[str, Features] = {
    "arrays": ArrayFeatures(shape=(2, 3)),
    "sequences": SequenceFeatures(shape=(4, 2), value=-1.0, side="pre"),
    "table": TableFeatures(encoders=tuple(case.encoder for case in CASES.values())),
}
EACH = pytest.mark.parametrize("features", ALL.values(), ids=ALL.keys())


def test_every_form_of_features_has_a_row() -> None:
    assert set(ALL) == set(FEATURES)


@EACH
def test_json_round_trip_gives_equal_features(features: Features) -> None:
    again = features_from_json(json.loads(json.dumps(features.to_json())))
    assert again == features
    assert again.input_shape == features.input_shape
    assert json.loads(json.dumps(again.schema())) == features.schema()


@EACH
def test_encode_no_instances_gives_no_rows(features: Features) -> None:
    x, warnings = features.encode([])
    assert (x.shape, x.dtype.name, warnings) == ((0, *features.input_shape), "float32", [])
