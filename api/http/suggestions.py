"""What a client may have meant by a name or a value that is not known at a place of a body.

A name of another library counts before a close spelling, and a field here before the same field at another place.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from api.http.errors import shortened
from api.http.examples import example
from api.http.json_schema import ABSENT, Document, Path, child_of, objects, type_of
from core.jobs.other_names import FIELDS, REMARKS, TYPE_REMARKS, TYPES
from core.json_pointer import pointer
from core.spelling import choices, closest, plain

MAX_PLACES = 2
"""Places of a field that a message names at most."""
AMBIGUOUS = frozenset({"name", "value", "rows", "id", "fraction", "column"})
"""Fields that mean something else at each place; the same name elsewhere is no hint."""
_WHOLE_LIST = "/docs"
_UNKNOWN_FIELD = "is not a known field here"
_NAMES_OF_TYPES = ("name", "class_name", "kind", "class", "layer_type")


class Suggestion(NamedTuple):
    """What to do about an unknown field, and the path that was meant where that is known."""

    message: str
    meant: tuple[str | int, ...] | None = None


def unknown_field(document: Document, path: Path, body: Any) -> Suggestion:
    """Return what to do about the unknown field at this path."""
    *owner, last = path
    name, sent = str(last), _value_at(owner, body)
    known = list(dict.fromkeys(field for form in objects(document.at(owner, body)) for field in form["properties"]))
    free = [field for field in known if child_of(sent, field) is ABSENT]
    others = FIELDS.get(plain(name), ())
    if meant := next((field for field in others if field in free), None) or _equal(name, free):
        return Suggestion(f"{_UNKNOWN_FIELD}: did you mean {meant}?", (*owner, meant))
    is_remarked = bool(owner) and plain(name) in REMARKS
    if not is_remarked and (place := _other_place(document, body, [name, *others])):
        return place
    if remark := REMARKS.get(plain(name)):
        return Suggestion(f"{_UNKNOWN_FIELD}: {remark}")
    if meant := closest(name, free):
        return Suggestion(f"{_UNKNOWN_FIELD}: did you mean {meant}?", (*owner, meant))
    return _unlike_all(document, body, name, known)


def _unlike_all(document: Document, body: Any, name: str, known: Sequence[str]) -> Suggestion:
    """Return what to do about a field that is like no field that could be added here."""
    others = FIELDS.get(plain(name), ())
    if given := next((field for field in others if field in known), None) or closest(name, known):
        return Suggestion(f"{_UNKNOWN_FIELD}, and {given} is given too: remove one of them")
    if place := _close_place(document, body, name):
        return Suggestion(f"{_UNKNOWN_FIELD}: did you mean {pointer(*place)}?", place)
    listed = f"the fields are {choices(known, _WHOLE_LIST)}" if known else "no field is known here"
    return Suggestion(f"{_UNKNOWN_FIELD}: remove it; {listed}")


def unknown_name(text: str, known: Sequence[str], noun: str = "") -> str:
    """Return what to write instead of a name that is none of these."""
    shown = f"unknown{noun} {shortened(text)!r}"
    others = (TYPE_REMARKS.get(plain(text)), *TYPES.get(plain(text), ()))
    if others[0]:
        return f"{shown}: {others[0]}"
    if meant := _equal(text, known) or next((one for one in others if one in known), None) or closest(text, known):
        return f"{shown}: did you mean {meant}?"
    return f"{shown}: choose one of {choices(known, _WHOLE_LIST)}"


def unknown_type(document: Document, path: Path, body: Any, name: Any) -> str:
    """Return what to write instead of the unknown type of a member of a union."""
    forms = document.at(path, body)
    known = [tag for form in forms if (tag := type_of(form))]
    if not isinstance(name, str):
        return f'"type" must be one of {choices(known, _WHOLE_LIST)}'
    meant = _equal(name, known)
    if meant == name:  # a known type, sent as a bare name though it has fields that are required
        form = next(form for form in forms if type_of(form) == meant)
        return f"{name} needs more than its name: write an object such as {example(document, [form])}"
    is_other = any(one in known for one in TYPES.get(plain(name), ()))
    if "activation" in known and not meant and not is_other and (activation := _activation(document, name)):
        written = json.dumps({"type": "activation", "activation": activation})
        return f"unknown type {shortened(name)!r}: an activation as a layer is {written}"
    return unknown_name(name, known, " type")


def missing_type(document: Document, path: Path, body: Any) -> str:
    """Return what to write where an object has no `type`, by another field that may have it."""
    sent = _value_at(path, body)
    known = [tag for form in document.at(path, body) if (tag := type_of(form))]
    for field in _NAMES_OF_TYPES:
        if isinstance(name := child_of(sent, field), str):
            others = [one for one in TYPES.get(plain(name), ()) if one in known]
            if meant := _equal(name, known) or next(iter(others), None) or closest(name, known):
                return f'needs a "type": write "type": "{meant}" instead of "{field}"'
    return such_as(f'needs a "type": add one of {choices(known, _WHOLE_LIST)}', document, path, body)


def is_union(document: Document, path: Path, body: Any) -> bool:
    """Return whether the place has members by their `type`."""
    return any(type_of(form) for form in document.at(path, body))


def may_be_number(document: Document, path: Path, body: Any) -> bool:
    """Return whether the place takes a bare number too, such as a learning rate."""
    return any(form.get("type") == "number" for form in document.at(path, body))


def expected_names(context: Mapping[str, Any]) -> list[str]:
    """Return the names that pydantic expects at a place, from an error's context."""
    return re.findall(r"'([^']*)'", str(context.get("expected", context.get("expected_tags", ""))))


def such_as(message: str, document: Document, path: Path, body: Any) -> str:
    """Return the message with an example of a right value, made from the type of the place."""
    shown = example(document, document.at(path, body))
    return f"{message}, such as {shown}" if shown else message


def _value_at(path: Path, body: Any) -> Any:
    for step in path:
        body = child_of(body, step)
    return body


def _equal(name: str, known: Sequence[str]) -> str | None:
    """Return the known name that differs in case and separators only."""
    return next((one for one in known if one == name), None) or next(
        (one for one in known if plain(one) == plain(name)), None
    )


def _other_place(document: Document, body: Any, names: Sequence[str]) -> Suggestion | None:
    """Return the places of the first of these names that has any elsewhere in the body."""
    places = _places(document, body, names)
    if not places:
        return None
    named = " or ".join(pointer(*place) for place in places)
    given = ", which is given: remove this one" if _value_at(places[0], body) is not ABSENT else ""
    return Suggestion(f"{_UNKNOWN_FIELD}: it is {named}{given}", places[0] if len(places) == 1 else None)


def _places(document: Document, body: Any, names: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the highest places that have the first of these names that has any; few, and of equal height."""
    all_places = list(document.places(body))
    for position, name in enumerate(names):
        if position == 0 and name in AMBIGUOUS:
            continue
        found = [place for place in all_places if plain(place[-1]) == plain(name)]
        if found:
            height = min(map(len, found))
            return [place for place in found if len(place) == height][:MAX_PLACES]
    return []


def _close_place(document: Document, body: Any, name: str) -> tuple[str, ...] | None:
    places = {place[-1]: place for place in sorted(document.places(body), key=len, reverse=True)}
    meant = closest(name, [field for field in places if field not in AMBIGUOUS])
    return places[meant] if meant else None


def _activation(document: Document, name: str) -> str | None:
    definition = document.root["$defs"].get("Activation")
    known = [tag for form in document.forms(definition) if (tag := type_of(form))] if definition else []
    others = [one for one in TYPES.get(plain(name), ()) if one in known]
    return _equal(name, known) or next(iter(others), None)
