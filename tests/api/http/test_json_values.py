"""Bounds on parsed JSON before a model validates it."""

from typing import Any

import pytest
from hypothesis import given, strategies

from api.http.json_values import (
    count_names,
    count_values,
    is_storable,
    levels,
    structure_errors,
    unstorable_values,
)


def nested(depth: int, value: Any) -> Any:
    for _ in range(depth):
        value = [value]
    return value


SOUND = [
    {"layers": [{"type": "dense", "units": 3}] * 10_000},
    {str(n): n for n in range(100)},
    {"name": "a" * 10_000},
    nested(100, [1] * 1_000),
    7,
]
LARGE: list[tuple[Any, str, str]] = [
    ({"a/b": [{str(n): n for n in range(101)}]}, "/a~1b/0", "101 names"),
    ({"layers": [1] * 16_385}, "/layers", "16,385 items"),
    ({"loss": {"type": "a" * 10_001}}, "/loss/type", "10,001 characters"),
    ({"loss": {"a" * 10_001: 1}}, "/loss", "10,001 characters in a name"),
    ({"layers": [[1] * 10_000] * 20}, "", "too many values"),
    (nested(100, [1] * 10_000), "", "nested deep"),
]


@pytest.mark.parametrize("tree", SOUND)
def test_spec_of_moderate_size_has_no_error(tree: Any) -> None:
    assert structure_errors(tree) == []


@pytest.mark.parametrize(("tree", "pointer", "words"), LARGE)
def test_too_large_value_is_found_with_its_place(tree: Any, pointer: str, words: str) -> None:
    ((found, message),) = structure_errors(tree)
    assert found == pointer
    assert words in message


def test_at_most_20_errors_are_made() -> None:
    assert len(structure_errors([{"type": "a" * 10_001}] * 100)) == 20


def test_values_and_names_are_counted() -> None:
    assert count_values(b'{"a": [1, 2], "b": {}}') == len(["{}", "a", "[]", "1", "2", "b", "{}"]) + 1


def test_unstorable_values_are_found_in_order() -> None:
    tree = {"a": [1.0, float("inf"), "x\0"], "b\0": 10**400, "c": [[float("nan")]]}
    assert [place for place, _ in unstorable_values(tree)] == ["/a/1", "/a/2", "", "/b\0", "/c/0/0"]


VALUES = strategies.recursive(
    strategies.sampled_from([None, True, 7, 10**400, 1.5, float("nan"), float("-inf"), "a", "a\0", ""]),
    lambda inner: (
        strategies.lists(inner, max_size=4)
        | strategies.dictionaries(strategies.sampled_from(["a", "b", "c\0"]), inner, max_size=3)
    ),
    max_leaves=12,
)


def names_of(tree: Any) -> int:
    inner = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    return sum(map(names_of, inner)) + (len(tree) if isinstance(tree, dict) else 0)


@given(VALUES)
def test_fast_check_agrees_with_the_search_for_places(tree: Any) -> None:
    assert is_storable(tree) == (not list(unstorable_values(tree)))
    assert count_names(tree) == names_of(tree)
    assert sum(map(len, levels(tree))) == values_of(tree)


def values_of(tree: Any) -> int:
    inner = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    return 1 + sum(map(values_of, inner))
