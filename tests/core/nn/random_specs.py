"""Random members of a kind, drawn from the annotations of their fields: whatever a client could send, in small."""

from collections.abc import Callable
from dataclasses import MISSING, Field, fields
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le, Len, Lt, MinLen
from hypothesis import strategies as st

from core.nn.tagged_union import Tagged, members

MOST = 5
"""The largest whole number, and the longest list, that is drawn."""
DEEPEST = 2
"""How many composites may stand inside each other."""

Drawn = st.SearchStrategy[Any]


def specs(kind: Any, depth: int = 0) -> Drawn:
    """Members of a kind; those that hold others end at some depth."""
    drawn = [_member(member, depth) for member in members(kind).values() if depth < DEEPEST or not _holds(member, kind)]
    return st.one_of(drawn)


@cache
def _hints(member: Any) -> dict[str, Any]:
    return get_type_hints(member, include_extras=True)


def _holds(member: Any, kind: Any) -> bool:
    return any(str(kind) in str(_hints(member)[each.name]) for each in fields(member))


@cache
def _member(member: Any, depth: int) -> Drawn:
    drawn = {each.name: _field(each, member, depth) for each in fields(member) if each.name != "type"}
    return st.builds(member, **drawn)


def _field(each: Field[Any], member: Any, depth: int) -> Drawn:
    """What has a default is left at it more often than not."""
    drawn = _of(_hints(member)[each.name], depth)
    if each.default is MISSING and each.default_factory is MISSING:
        return drawn
    default = each.default if each.default_factory is MISSING else each.default_factory()
    return st.one_of(st.just(default), st.just(default), drawn)


def _of(hint: Any, depth: int) -> Drawn:
    if hint in PLAIN:
        return PLAIN[hint]
    return st.deferred(lambda: FORMS[get_origin(hint)](get_args(hint), depth))


def _annotated(parts: tuple[Any, ...], depth: int) -> Drawn:
    what, *marks = parts
    if any(isinstance(mark, Tagged) for mark in marks):
        return specs(Annotated[what, marks[0]], depth + 1)
    if what in NUMBERS:
        return NUMBERS[what](_bounds(marks))
    few = next((mark.min_length for mark in marks if isinstance(mark, Len | MinLen)), 0)
    return _tuple(get_args(what), depth, few)


def _bounds(marks: list[Any]) -> tuple[Any, Any, float]:
    """The least and the most, None where there is none, and how far inside them a number has to stay."""
    low = next((getattr(mark, "ge", getattr(mark, "gt", None)) for mark in marks if isinstance(mark, Ge | Gt)), None)
    high = next((getattr(mark, "le", getattr(mark, "lt", None)) for mark in marks if isinstance(mark, Le | Lt)), None)
    return low, high, 1e-3 if any(isinstance(mark, Gt | Lt) for mark in marks) else 0.0


def _integers(bounds: tuple[Any, Any, float]) -> Drawn:
    low, high, _ = bounds
    return st.integers(0 if low is None else low, MOST if high is None else min(high, MOST))


def _floats(bounds: tuple[Any, Any, float]) -> Drawn:
    """Numbers that are no trial of what floating point bears."""
    low, high, inside = bounds
    low = -2.0 if low is None else low + inside
    return st.floats(low, low + 2.0 if high is None else high - inside)


def _tuple(parts: tuple[Any, ...], depth: int, few: int = 0) -> Drawn:
    if parts[1:] == (...,):
        return st.lists(_of(parts[0], depth), min_size=few, max_size=max(few, 3)).map(tuple)
    return st.tuples(*(_of(part, depth) for part in parts))


def _either(parts: tuple[Any, ...], depth: int) -> Drawn:
    return st.one_of([_of(part, depth) for part in parts])


PLAIN: dict[Any, Drawn] = {
    bool: st.booleans(),
    int: st.integers(0, MOST),
    float: st.floats(-2, 2),
    str: st.text(max_size=3),
    NoneType: st.none(),
}
NUMBERS: dict[Any, Callable[[tuple[Any, Any, float]], Drawn]] = {int: _integers, float: _floats}
FORMS: dict[Any, Callable[[tuple[Any, ...], int], Drawn]] = {
    Annotated: _annotated,
    Union: _either,
    UnionType: _either,
    Literal: lambda parts, _: st.sampled_from(parts),
    tuple: _tuple,
}
