"""Tests of core/data/targets: every target keeps the interface."""

import json
from typing import Any

import numpy as np
import pytest

from core.data.errors import InvalidInstance
from core.data.targets import TARGETS, Target, target_from_json
from core.data.targets.classes import Classes
from core.data.targets.embeddings import Embeddings
from core.data.targets.labels import Labels
from core.data.targets.numbers import Numbers
from tests.core.data.targets.cases import CASES


def test_every_target_has_a_case() -> None:
    assert {case.target.type for case in CASES.values()} == set(TARGETS)


@pytest.mark.parametrize("target", [case.target for case in CASES.values()], ids=CASES.keys())
def test_json_round_trip_gives_an_equal_target(target: Target) -> None:
    assert target_from_json(json.loads(json.dumps(target.to_json(), allow_nan=False))) == target


@pytest.mark.parametrize(
    ("target", "values", "steps", "expected"),
    [(case.target, *taken) for case in CASES.values() for taken in case.taken],
)
def test_parse_values_of_a_client(target: Target, values: list[Any], steps: tuple[int, ...], expected: Any) -> None:
    assert target.parse(values, steps).tolist() == expected


@pytest.mark.parametrize(
    ("target", "values", "steps", "pointer"),
    [(case.target, *refused) for case in CASES.values() for refused in case.refused],
)
def test_parse_wrong_value_names_its_place(
    target: Target, values: list[Any], steps: tuple[int, ...], pointer: str
) -> None:
    with pytest.raises(InvalidInstance) as refused:
        target.parse(values, steps)
    assert refused.value.pointer == pointer


LONG_NAMES = Classes(names=("\n" * 100, "é" * 100, '"' * 100))
ONE_NUMBER = Numbers(shape=(1,), integers=False, min=0, max=1, distinct=None)
ARRAY = Numbers(shape=(4, 30), integers=False, min=0, max=1, distinct=None)


@pytest.mark.parametrize(
    ("target", "output_shape"),
    [
        (LONG_NAMES, (3,)),
        (LONG_NAMES, (5, 3)),
        (Classes(names=("a", "b")), (1,)),
        (Classes(names=tuple(map(str, range(1000)))), (1000,)),
        (ONE_NUMBER, (1,)),
        (ARRAY, (4, 30)),
        (Embeddings(size=64), (64,)),
        (Labels(max_labels=3), (50, 12)),
    ],
)
def test_estimated_size_of_an_answer_is_close_to_its_json(target: Target, output_shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    if isinstance(target, Labels):
        outputs = rng.integers(1, 12, (20, *output_shape[:-1]))
    else:
        outputs = rng.uniform(0, 1, (20, *output_shape)).astype(np.float32)
    answer = json.dumps(target.answer(outputs), ensure_ascii=False, separators=(",", ":")).encode()
    assert 0.5 < len(answer) / (20 * target.answer_bytes(output_shape)) < 1.1
