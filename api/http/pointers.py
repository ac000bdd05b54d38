"""Validation errors in a client's terms: a JSON pointer (RFC 6901) into the body, and how to correct it.

Pydantic reports a location as the path through its models, union tags included; a client needs the path through the
body that it sent.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pydantic_core
from pydantic import BaseModel, ValidationError

from api.http.errors import shortened
from api.http.faults import Fault, one_per_mistake
from api.http.json_schema import document
from api.http.patterns import PATTERN_MESSAGES
from core.json_pointer import pointer

Location = Sequence[str | int]

_ABSENT = object()
_TAGGED_FORMS = frozenset({"object", "name", "number"})  # the forms of core.nn.tagged_union.Tagged


def field_errors(error: ValidationError, body: bytes, model: type[BaseModel] | None = None) -> list[tuple[str, str]]:
    """Return (pointer, message) of each mistake in this body, in the order found.

    With the model of the body, messages suggest what to write instead.
    """
    try:
        sent = pydantic_core.from_json(body, allow_inf_nan=True)
    except ValueError:
        sent = _ABSENT
    found = error.errors(include_url=False, include_input=False)
    faults = [_fault(one, sent) for one in found]
    if model is not None and sent is not _ABSENT:
        faults = one_per_mistake(faults, document(model), sent)
    return list(dict.fromkeys((pointer(*fault.path), fault.message) for fault in faults))


def _fault(error: Mapping[str, Any], sent: Any) -> Fault:
    path = locate_path(error["loc"], sent, missing=error["type"] == "missing")
    return Fault(path, error["type"], error.get("ctx", {}), message(error))


def locate(location: Location, body: Any, *, missing: bool = False) -> str:
    """Return the JSON pointer of a pydantic location, as `locate_path` finds it."""
    return pointer(*locate_path(location, body, missing=missing))


def locate_path(location: Location, body: Any, *, missing: bool = False) -> tuple[str | int, ...]:
    """Return the path of a pydantic location, without the union tags, which are not part of the body.

    With `missing`, the last step names a field that is not in the body.
    """
    steps: list[str | int] = []
    value, tagged = body, False
    present, absent = (location[:-1], location[-1:]) if missing else (location, ())
    for step in present:
        if _is_tag(value, step, tagged):
            tagged = True
            continue
        child = _child(value, step)
        if child is not _ABSENT:
            steps.append(step)
            value, tagged = child, False
    return (*steps, *absent)


def _is_tag(value: Any, step: str | int, tagged: bool) -> bool:
    return isinstance(value, dict) and not tagged and value.get("type") == step


def _child(value: Any, step: str | int) -> Any:
    if isinstance(value, dict):
        return value.get(step, _ABSENT)
    if isinstance(value, list) and isinstance(step, int) and step < len(value):
        return value[step]
    return _ABSENT


MESSAGES: Mapping[str, str] = {
    "missing": "is required: add it",
    "extra_forbidden": "is not a known field here: remove it, or look up its name in /docs",
    "unexpected_keyword_argument": "is not a known field here: remove it, or look up its name in /docs",
    "union_tag_invalid": "unknown type {tag!r}: choose one of {expected_tags}",
    "union_tag_not_found": 'needs a "type"',
    "literal_error": "unknown: choose one of {expected}",
    "enum": "unknown: choose one of {expected}",
    "json_invalid": "is not JSON: {error}",
    "finite_number": "must be a finite number that a 64-bit float can represent",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "int_type": "must be an integer, without quotes or decimals",
    "int_from_float": "must be an integer, without decimals",
    "int_parsing": "must be an integer",
    "int_parsing_size": "is too large: write a smaller integer",
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
    "too_short": "must have at least {min_length} item(s), but has {actual_length}",
    "too_long": "must have at most {max_length} item(s), but has more",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
}


def message(error: Mapping[str, Any]) -> str:
    """Return the message of one pydantic error; pydantic's own message for a type that the table lacks.

    It quotes at most `MAX_QUOTED_CHARACTERS` of what the client sent, and never a regular expression.
    """
    template, context = MESSAGES.get(error["type"]), error.get("ctx", {})
    if error["type"] == "string_pattern_mismatch":
        return PATTERN_MESSAGES.get(context["pattern"], "has characters that are not allowed here: look it up in /docs")
    if context.get("tag") in _TAGGED_FORMS and error["type"] == "union_tag_invalid":
        return 'must be an object with its "type"'
    if template is None:
        return str(error["msg"]).removeprefix("Value error, ")
    tag = {"tag": shortened(str(context["tag"]))} if "tag" in context else {}
    return template.format_map(context | tag)
