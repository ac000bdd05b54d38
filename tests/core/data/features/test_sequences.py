"""Tests of core/data/features/sequences.py."""

from typing import Any

import numpy as np
import pytest

from core.data.errors import InvalidInstance
from core.data.features.sequences import SequenceFeatures


def test_encode_pads_on_its_side() -> None:
    features = SequenceFeatures(shape=(4,), value=7, side="pre")
    assert features.encode([[1, 2, 3], [4]]).x.tolist() == [[7, 1, 2, 3], [7, 7, 7, 4]]
    assert features.encode(np.array([[1, 2]])).x.tolist() == [[7, 7, 1, 2]]


def test_schema_has_the_most_steps() -> None:
    assert SequenceFeatures(shape=(4,), value=7, side="pre").schema() == {"shape": [None], "max_steps": 4}


@pytest.mark.parametrize(
    ("instances", "pointer", "message"),
    [
        ([[1], [1, 2, 3, 4]], "/instances/1", "has 4 steps"),
        ([[1], 2], "/instances/1", "is not a list"),
        ([[[1, 2]]], "/instances/0", "give steps of the shape ()"),
        ([[1, "a"]], "/instances/0/1", "is a text"),
    ],
)
def test_encode_wrong_instance_names_its_place(instances: Any, pointer: str, message: str) -> None:
    with pytest.raises(InvalidInstance) as refused:
        SequenceFeatures(shape=(3,), value=0, side="post").encode(instances)
    assert refused.value.pointer == pointer
    assert message in refused.value.message
