"""Tests of core/data/targets: every target keeps the interface."""

import json
from typing import Any

import pytest

from core.data.errors import InvalidInstance
from core.data.targets import TARGETS, Target, target_from_json
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
