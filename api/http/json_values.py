"""Checks of parsed JSON before a model validates it: how large it is, and which values cannot be stored.

A model makes an error for each unknown name and each wrong item. These checks bound how many there can be.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from core.jobs.errors import MAX_ERRORS
from core.json_pointer import pointer

MAX_NAMES = 100
"""Names in one object; no object of a spec has as many."""
MAX_ITEMS = 16_384
"""Items of one list besides the rows of the data; no list of a spec may have more."""
MAX_CHARACTERS = 10_000
"""Characters of one text or name; no text of a spec may have as many."""
MAX_STRUCTURE_VALUES = 200_000
"""Values of a spec besides the rows of its data: those of 10,000 layers with all their options."""
LEVELS_OF_EQUAL_COST = 4

_NUL_MESSAGE = "contains the NUL character: remove it"
_REPEATED_MESSAGE = "is given twice: leave one of them out"
_NONFINITE_MESSAGE = "must be a finite number that a 64-bit float can represent"
_TOO_LARGE_MESSAGE = (
    "has too many values besides the rows of its data, or too many of them nested deep: make the network smaller or "
    "flatter, or use repeat for equal layers"
)


def count_values(body: bytes) -> int:
    """Return the number of values and names in a JSON text, or more where its texts contain commas and brackets."""
    return 1 + sum(map(body.count, (b",", b":", b"[", b"{")))


_TEXT = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"(\s*:)?', re.DOTALL)


def count_sent_names(body: bytes) -> int:
    """Return the number of names of all objects in a JSON text."""
    return sum(match.end(1) > 0 for match in _TEXT.finditer(body)) if b"{" in body else 0


def levels(tree: Any) -> Iterator[list[Any]]:
    """Yield all values of a parsed tree, level by level; rows of numbers are not visited one by one."""
    level = [tree]
    while level:
        yield level
        kinds = set(map(type, level))
        lists = level if kinds == {list} else [value for value in level if type(value) is list]
        objects = [value for value in level if type(value) is dict] if dict in kinds else []
        level = [*chain.from_iterable(lists), *chain.from_iterable(map(dict.values, objects))]


def count_names(tree: Any) -> int:
    """Return the number of names of all objects in a parsed tree."""
    return sum(
        len(value) for level in levels(tree) if dict in set(map(type, level)) for value in level if type(value) is dict
    )


def is_storable(tree: Any) -> bool:
    """Return whether `unstorable_values` finds nothing in a parsed tree. It takes a tenth of the time."""
    return all(_are_storable(level) for level in levels(tree))


def _are_storable(values: list[Any]) -> bool:
    kinds = set(map(type, values))
    numbers = values if kinds <= {int, float} else [value for value in values if type(value) in {int, float}]
    texts = [value for value in values if type(value) is str] if str in kinds else []
    names = chain.from_iterable(value for value in values if type(value) is dict) if dict in kinds else ()
    return _are_finite(numbers) and not any("\0" in text for text in chain(texts, names))


def repeated_names(body: bytes) -> list[tuple[str, str]]:
    """Return pointer and message of the names that are given more than once in an object of this JSON text."""
    repeated: dict[int, tuple[Any, list[str]]] = {}  # with each object itself, so that no other gets its id

    def note(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value = dict(pairs)
        if len(value) < len(pairs):
            names = Counter(name for name, _ in pairs)
            repeated[id(value)] = (value, [name for name, count in names.items() if count > 1])
        return value

    tree = json.loads(body, object_pairs_hook=note)
    errors: list[tuple[str, str]] = []
    pending: list[tuple[tuple[str | int, ...], Any]] = [((), tree)]
    while pending and len(errors) < MAX_ERRORS:
        path, value = pending.pop()
        errors += [(pointer(*path, name), _REPEATED_MESSAGE) for name in repeated.get(id(value), (None, ()))[1]]
        if isinstance(value, dict) or (isinstance(value, list) and not is_numbers(value)):
            pending += [((*path, step), item) for step, item in _items(value)][::-1]
    return errors


def structure_errors(tree: Any) -> list[tuple[str, str]]:
    """Return pointer and message of each object, list or text that is too large; one error if all are too many.

    A value counts more where it is nested deep, since a model converts it again at each level above it.
    """
    errors, count = [], 0
    pending: list[tuple[tuple[str | int, ...], Any]] = [((), tree)]
    while pending:
        path, value = pending.pop()
        if message := _excess(value):
            errors.append((pointer(*path), message))
        elif isinstance(value, dict | list):
            count += len(value) * max(1, len(path) // LEVELS_OF_EQUAL_COST)
            if count > MAX_STRUCTURE_VALUES:
                return [("", _TOO_LARGE_MESSAGE)]
            pending += [((*path, step), item) for step, item in _items(value) if isinstance(item, dict | list | str)]
    return errors[:MAX_ERRORS]


def _excess(value: Any) -> str:
    """Return what is too large about a value by itself; empty if nothing is."""
    if isinstance(value, str):
        return _too_many(len(value), MAX_CHARACTERS, "characters")
    if isinstance(value, list):
        return _too_many(len(value), MAX_ITEMS, "items")
    if isinstance(value, dict):
        longest = max(map(len, value), default=0)
        return _too_many(len(value), MAX_NAMES, "names") or _too_many(longest, MAX_CHARACTERS, "characters in a name")
    return ""


def _too_many(count: int, limit: int, noun: str) -> str:
    return f"has {count:,} {noun}, more than the {limit:,} allowed: use fewer" if count > limit else ""


def unstorable_values(value: Any, *path: str | int) -> Iterator[tuple[str, str]]:
    """Yield pointer and message of each NUL character and each number that no finite float represents."""
    if isinstance(value, str):
        if "\0" in value:
            yield pointer(*path), _NUL_MESSAGE
    elif isinstance(value, int | float):
        if not _are_finite([value]):
            yield pointer(*path), _NONFINITE_MESSAGE
    elif isinstance(value, dict | list) and not (is_numbers(value) and _are_finite(value)):
        for step, item in _items(value):
            if isinstance(step, str) and "\0" in step:
                yield pointer(*path), _NUL_MESSAGE
            yield from unstorable_values(item, *path, step)


def _items(value: dict[str, Any] | list[Any]) -> Iterable[tuple[str | int, Any]]:
    return value.items() if isinstance(value, dict) else enumerate(value)


def is_numbers(value: Any) -> bool:
    """Return whether a value is a list of numbers only; booleans are none."""
    return isinstance(value, list) and set(map(type, value)) <= {int, float}


def _are_finite(values: Iterable[float]) -> bool:
    try:
        return all(map(math.isfinite, values))
    except OverflowError:  # an integer too large for a float
        return False
