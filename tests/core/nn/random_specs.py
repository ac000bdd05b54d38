"""Hypothesis strategies for members of a kind, from the annotations of their fields, with small numbers."""

from collections.abc import Callable
from dataclasses import MISSING, Field, fields
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le, Len, Lt, MinLen
from hypothesis import strategies as st

from core.nn.tagged_union import Tagged, members

MAX_INTEGER = 5
"""The largest integer, and the length of the longest list."""
MAX_DEPTH = 2
"""The number of nested composites."""

Strategy = st.SearchStrategy[Any]


def specs(kind: Any, depth: int = 0) -> Strategy:
    """Return a strategy for members of a kind; composites end at `MAX_DEPTH`."""
    drawn = [
        _member(member, depth) for member in members(kind).values() if depth < MAX_DEPTH or not _contains(member, kind)
    ]
    return st.one_of(drawn)


@cache
def _hints(member: Any) -> dict[str, Any]:
    return get_type_hints(member, include_extras=True)


def _contains(member: Any, kind: Any) -> bool:
    return any(str(kind) in str(_hints(member)[each.name]) for each in fields(member))


@cache
def _member(member: Any, depth: int) -> Strategy:
    drawn = {each.name: _field(each, member, depth) for each in fields(member) if each.name != "type"}
    return st.builds(member, **drawn)


def _field(each: Field[Any], member: Any, depth: int) -> Strategy:
    """Return a strategy for a field, which takes the default twice as often as another value."""
    drawn = _of(_hints(member)[each.name], depth)
    if each.default is MISSING and each.default_factory is MISSING:
        return drawn
    default = each.default if each.default_factory is MISSING else each.default_factory()
    return st.one_of(st.just(default), st.just(default), drawn)


def _of(hint: Any, depth: int) -> Strategy:
    if hint in PLAIN:
        return PLAIN[hint]
    return st.deferred(lambda: FORMS[get_origin(hint)](get_args(hint), depth))


def _annotated(parts: tuple[Any, ...], depth: int) -> Strategy:
    what, *marks = parts
    if any(isinstance(mark, Tagged) for mark in marks):
        return specs(Annotated[what, marks[0]], depth + 1)
    if what in NUMBERS:
        return NUMBERS[what](_bounds(marks))
    few = next((mark.min_length for mark in marks if isinstance(mark, Len | MinLen)), 0)
    return _tuple(get_args(what), depth, few)


def _bounds(marks: list[Any]) -> tuple[Any, Any, float]:
    """Return lower and upper bound, None if missing, and the distance that a number keeps from an open bound."""
    low = next((getattr(mark, "ge", getattr(mark, "gt", None)) for mark in marks if isinstance(mark, Ge | Gt)), None)
    high = next((getattr(mark, "le", getattr(mark, "lt", None)) for mark in marks if isinstance(mark, Le | Lt)), None)
    return low, high, 1e-3 if any(isinstance(mark, Gt | Lt) for mark in marks) else 0.0


def _integers(bounds: tuple[Any, Any, float]) -> Strategy:
    low, high, _ = bounds
    return st.integers(0 if low is None else low, MAX_INTEGER if high is None else min(high, MAX_INTEGER))


def _floats(bounds: tuple[Any, Any, float]) -> Strategy:
    """Return a strategy for moderate floating-point numbers."""
    low, high, inside = bounds
    low = -2.0 if low is None else low + inside
    return st.floats(low, low + 2.0 if high is None else high - inside)


def _tuple(parts: tuple[Any, ...], depth: int, few: int = 0) -> Strategy:
    if parts[1:] == (...,):
        return st.lists(_of(parts[0], depth), min_size=few, max_size=max(few, 3)).map(tuple)
    return st.tuples(*(_of(part, depth) for part in parts))


def _either(parts: tuple[Any, ...], depth: int) -> Strategy:
    return st.one_of([_of(part, depth) for part in parts])


PLAIN: dict[Any, Strategy] = {
    bool: st.booleans(),
    int: st.integers(0, MAX_INTEGER),
    float: st.floats(-2, 2),
    str: st.text(max_size=3),
    NoneType: st.none(),
}
NUMBERS: dict[Any, Callable[[tuple[Any, Any, float]], Strategy]] = {int: _integers, float: _floats}
FORMS: dict[Any, Callable[[tuple[Any, ...], int], Strategy]] = {
    Annotated: _annotated,
    Union: _either,
    UnionType: _either,
    Literal: lambda parts, _: st.sampled_from(parts),
    tuple: _tuple,
}
