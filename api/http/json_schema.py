"""The JSON schema of a model, read along a path into a body: which fields, types and examples a place has."""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from pydantic import BaseModel

Form = Mapping[str, Any]
"""One alternative of a place: a schema without references and unions."""
Path = Sequence[str | int]

ABSENT = object()
MAX_DEPTH = 3
"""Levels of objects in which a field is looked for."""


class Document:
    """The JSON schema of a model with its definitions."""

    def __init__(self, model: type[BaseModel]) -> None:
        self.root: dict[str, Any] = model.model_json_schema()

    def forms(self, schema: Mapping[str, Any]) -> list[Form]:
        """Return the alternatives of a schema, its default in each."""
        if reference := schema.get("$ref"):
            schema = {**self.root["$defs"][reference.rpartition("/")[2]], **schema}
            del schema["$ref"]
        branches = schema.get("anyOf") or schema.get("oneOf")
        if branches is None:
            return [schema]
        inherited = {"default": schema["default"]} if "default" in schema else {}
        return [form for branch in branches for form in self.forms({**branch, **inherited})]

    def at(self, path: Path, body: Any) -> list[Form]:
        """Return the alternatives at a path of a body; of an object with a known `type` only those of this type."""
        forms, value = self.forms(self.root), body
        for step in path:
            forms = [child for form in _of_value(forms, value) for child in self._children(form, step)]
            value = child_of(value, step)
        return _of_value(forms, value)

    def _children(self, form: Form, step: str | int) -> list[Form]:
        if isinstance(step, str):
            child = form.get("properties", {}).get(step, form.get("additionalProperties"))
        else:
            items = form.get("prefixItems", ())
            child = items[step] if step < len(items) else form.get("items")
        return self.forms(child) if isinstance(child, dict) else []

    def places(self, body: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
        """Yield the paths of the fields of this body's objects that stand in no list."""
        for form in objects(self.at(path, body)):
            for name in form["properties"]:
                if name != "type":
                    yield (*path, name)
                    if len(path) + 1 < MAX_DEPTH:
                        yield from self.places(_with_default(form, name, body, (*path, name)), (*path, name))


@lru_cache(maxsize=64)
def document(model: type[BaseModel]) -> Document:
    """Return the document of a model, made once: it takes up to a fifth of a second."""
    return Document(model)


def objects(forms: Sequence[Form]) -> list[Form]:
    """Return the forms of objects with named fields."""
    return [form for form in forms if "properties" in form]


def type_of(form: Form) -> str | None:
    """Return the value of the field `type` of a member of a union; None for other forms."""
    tag = form.get("properties", {}).get("type", {}).get("const")
    return None if tag is None else str(tag)


def child_of(value: Any, step: str | int) -> Any:
    """Return a value's child; `ABSENT` if it has none."""
    if isinstance(value, dict):
        return value.get(step, ABSENT)
    if isinstance(value, list) and isinstance(step, int) and step < len(value):
        return value[step]
    return ABSENT


def _of_value(forms: list[Form], value: Any) -> list[Form]:
    tag = value.get("type") if isinstance(value, dict) else value
    if not isinstance(tag, str):
        return forms
    return [form for form in forms if type_of(form) == tag] or forms


def _with_default(form: Form, name: str, body: Any, path: tuple[str, ...]) -> Any:
    """Return the body with the default of a field that it does not have, or that is not an object."""
    sent = body
    for step in path:
        sent = child_of(sent, step)
    default = form["properties"][name].get("default")
    if isinstance(sent, dict | str) or not isinstance(default, dict):
        return body
    for step in reversed(path):
        default = {step: default}
    return default
