"""The mistakes in a body, from the errors of its validation: one for each mistake, with what to write instead.

Pydantic reports what each member of a union expects, a list without its wrong items as too short, and a name that is
wrong both as an unknown and as a missing one. Only what the client has to change remains.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from api.http import suggestions
from api.http.json_schema import Document, child_of
from core.jobs.errors import MAX_ERRORS

UNKNOWN_FIELD = frozenset({"extra_forbidden", "unexpected_keyword_argument"})
SHAPES = frozenset(
    {"dict_type", "model_type", "model_attributes_type", "dataclass_type", "list_type", "tuple_type", "too_short"}
)
_FOLLOWS_FROM_PARTS = SHAPES | {"literal_error", "union_tag_invalid", "union_tag_not_found"}
"""Errors of a value that follow from those of its parts."""


@dataclass
class Fault:
    """An error of the validation at a path of the body, and its message."""

    path: tuple[str | int, ...]
    kind: str
    context: Mapping[str, Any]
    message: str

    @property
    def is_of_type(self) -> bool:
        """Whether the value is of another JSON type than the error's member of a union expects."""
        return self.kind.endswith("_type")


def one_per_mistake(faults: Sequence[Fault], document: Document, body: Any) -> list[Fault]:
    """Return the faults without those that follow from others, the first with what to write instead."""
    faults = _without_wholes([_of_list(fault) for fault in faults])
    faults = [_of_one_place(group, body) for group in _by_path(faults).values()]
    faults = _with_meant_fields(faults, document, body)
    for fault in faults[:MAX_ERRORS]:
        fault.message = _teach(fault, document, body)
    return faults


def _of_list(fault: Fault) -> Fault:
    """Return the fault of a list for that of an item that it lacks, such as the second of two."""
    if fault.kind != "missing" or not isinstance(fault.path[-1], int):
        return fault
    return Fault(fault.path[:-1], "too_short", {}, "has too few items: add the others")


def _without_wholes(faults: Sequence[Fault]) -> list[Fault]:
    above = {fault.path[:length] for fault in faults for length in range(len(fault.path))}
    return [fault for fault in faults if not (fault.path in above and _follows(fault))]


def _follows(fault: Fault) -> bool:
    return fault.is_of_type or fault.kind in _FOLLOWS_FROM_PARTS


def _by_path(faults: Sequence[Fault]) -> dict[tuple[str | int, ...], list[Fault]]:
    groups: dict[tuple[str | int, ...], list[Fault]] = {}
    for fault in faults:
        groups.setdefault(fault.path, []).append(fault)
    return groups


def _of_one_place(faults: Sequence[Fault], body: Any) -> Fault:
    """Return the fault of the member of a union that the value comes closest to; else all messages in one."""
    is_text = isinstance(_value(faults[0], body), str)
    fitting = [fault for fault in faults if not fault.is_of_type and (fault.kind != "literal_error" or is_text)]
    remaining = fitting or faults
    if len(remaining) > 1:
        remaining[0].message = ", or ".join(dict.fromkeys(fault.message for fault in remaining))
    return remaining[0]


def _with_meant_fields(faults: Sequence[Fault], document: Document, body: Any) -> list[Fault]:
    """Return the faults, unknown fields with what was meant, without the missing fields that were meant."""
    unknown = [fault for fault in faults if fault.kind in UNKNOWN_FIELD]
    missing = [fault.path for fault in faults if fault.kind == "missing"]
    unknown_in, missing_in = Counter(f.path[:-1] for f in unknown), Counter(path[:-1] for path in missing)
    meant: set[tuple[str | int, ...]] = set()
    for fault in unknown[: 2 * MAX_ERRORS]:
        owner = fault.path[:-1]
        message, place = suggestions.unknown_field(document, fault.path, body)
        covered = [path for path in missing if place is not None and place[: len(path)] == path]
        if not covered and unknown_in[owner] == missing_in[owner] == 1:
            covered = [path for path in missing if path[:-1] == owner]
            message = (
                f"is not a known field here, and {covered[0][-1]} is missing: rename it, or remove it and add that"
            )
        meant.update(covered)
        fault.message = message
    return [fault for fault in faults if fault.kind != "missing" or fault.path not in meant]


def _teach(fault: Fault, document: Document, body: Any) -> str:
    value = _value(fault, body)
    if fault.kind == "union_tag_not_found":
        return suggestions.missing_type(document, fault.path, body)
    if fault.kind == "union_tag_invalid" and isinstance(value, dict):
        return suggestions.unknown_type(document, fault.path, body, value.get("type"))
    if fault.kind in ("literal_error", "union_tag_invalid") and isinstance(value, str):
        if suggestions.is_union(document, fault.path, body):
            return suggestions.unknown_type(document, fault.path, body, value)
        return suggestions.unknown_name(value, suggestions.expected_names(fault.context))
    is_shape = fault.kind in SHAPES or fault.kind == "union_tag_invalid"
    if is_shape and suggestions.may_be_number(document, fault.path, body):
        fault.message = 'must be a number, or an object with its "type"'
    is_shown = is_shape or fault.kind == "missing"
    return suggestions.such_as(fault.message, document, fault.path, body) if is_shown else fault.message


def _value(fault: Fault, body: Any) -> Any:
    for step in fault.path:
        body = child_of(body, step)
    return body
