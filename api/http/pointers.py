"""Where a body is wrong, and what to do about it, in a client's own terms.

Pydantic says where by its way through the models; a client wants a JSON pointer (RFC 6901) into what it sent.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pydantic_core
from pydantic import ValidationError

from core.json_pointer import pointer

Location = Sequence[str | int]

_ABSENT = object()
_FORMS = frozenset({"object", "name", "number"})  # the ways to write a member of a kind: core.nn.tagged_union.Tagged


def field_errors(error: ValidationError, body: bytes) -> list[tuple[str, str]]:
    """Each thing that is wrong in this body: (pointer, message), without doubles, in the order found."""
    try:
        sent = pydantic_core.from_json(body, allow_inf_nan=True)
    except ValueError:
        sent = _ABSENT
    found = error.errors(include_url=False, include_input=False)
    return list(dict.fromkeys((_place(one, sent), message(one)) for one in found))


def _place(error: Mapping[str, Any], sent: Any) -> str:
    return locate(error["loc"], sent, missing=error["type"] == "missing")


def locate(location: Location, body: Any, *, missing: bool = False) -> str:
    """The pointer of a pydantic location: the tags of unions are no part of the body, so walk it and drop them.

    Where something is `missing`, the last step is its name.
    """
    steps: list[str | int] = []
    here, tagged = body, False
    walked, absent = (location[:-1], location[-1:]) if missing else (location, ())
    for step in walked:
        if _is_tag(here, step, tagged):
            tagged = True
            continue
        below = _child(here, step)
        if below is not _ABSENT:
            steps.append(step)
            here, tagged = below, False
    return pointer(*steps, *absent)


def _is_tag(here: Any, step: str | int, tagged: bool) -> bool:
    return isinstance(here, dict) and not tagged and here.get("type") == step


def _child(here: Any, step: str | int) -> Any:
    if isinstance(here, dict):
        return here.get(step, _ABSENT)
    if isinstance(here, list) and isinstance(step, int) and step < len(here):
        return here[step]
    return _ABSENT


MESSAGES: Mapping[str, str] = {
    "missing": "is required: add it",
    "extra_forbidden": "is not a known field here: take it out, or look its name up in /docs",
    "unexpected_keyword_argument": "is not a known field here: take it out, or look its name up in /docs",
    "union_tag_invalid": "unknown type {tag!r}: choose one of {expected_tags}",
    "union_tag_not_found": 'needs a "type" that says what it is',
    "literal_error": "unknown: choose one of {expected}",
    "enum": "unknown: choose one of {expected}",
    "json_invalid": "is not JSON: {error}",
    "finite_number": "must be a finite number that a 64-bit float can hold",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "int_type": "must be an integer, without quotes or decimals",
    "int_from_float": "must be an integer, without decimals",
    "int_parsing": "must be an integer",
    "int_parsing_size": "is too large an integer",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "string_type": "must be a string",
    "string_too_short": "must have at least {min_length} character(s)",
    "string_too_long": "must have at most {max_length} characters: shorten it",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "dataclass_type": "must be an object",
    "too_short": "must have at least {min_length} item(s), and has {actual_length}",
    "too_long": "must have at most {max_length} item(s), and has more",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
}


def message(error: Mapping[str, Any]) -> str:
    """What to do about one pydantic error; pydantic's own words where the table has none."""
    template, facts = MESSAGES.get(error["type"]), error.get("ctx", {})
    if facts.get("tag") in _FORMS and error["type"] == "union_tag_invalid":
        return 'must be an object with its "type"'
    if template is None:
        return str(error["msg"]).removeprefix("Value error, ")
    return template.format_map(facts)
