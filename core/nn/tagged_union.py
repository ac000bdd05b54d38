"""Tagged unions: frozen dataclasses with a `type` field that names the member, such as layers, losses or optimizers.

`Tagged` marks such a union, so that JSON selects the member by its `type`; a bare name is short for `{"type": name}`.
"""

from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from typing import Any, get_args


def members(union: Any) -> dict[str, Any]:
    """Return the members of a union of frozen dataclasses, with or without its `Tagged` mark, by their `type`."""
    annotated = getattr(union, "__origin__", union) if hasattr(union, "__metadata__") else union
    return {tag(member): member for member in get_args(annotated) or (annotated,)}


def tag(member: Any) -> str:
    """Return the value of the member's `type` field."""
    return str(next(f.default for f in fields(member) if f.name == "type"))


def _has_only_defaults(member: Any) -> bool:
    return all(f.default is not MISSING or f.default_factory is not MISSING for f in fields(member))


@dataclass(frozen=True)
class Tagged:
    """A mark of a union of frozen dataclasses: `Annotated[Relu | Tanh, Tagged()]`.

    If given, `number` makes a member of a bare number: `learning_rate: 0.01` is short for a constant schedule. Pydantic
    finds the method below by its name, so `core.nn` does not import pydantic.
    """

    number: Callable[[float], Any] | None = None

    def __get_pydantic_core_schema__(self, union: Any, handler: Any) -> dict[str, Any]:
        """Return the union's core schema (a dictionary): by name, by number, or as an object with its `type`."""
        choices = members(union)
        objects = {
            "type": "tagged-union",
            "discriminator": "type",
            "choices": {name: handler.generate_schema(member) for name, member in choices.items()},
        }
        by_name = {name: member for name, member in choices.items() if _has_only_defaults(member)}
        forms: dict[str, Any] = {"object": objects}
        if by_name:
            forms["name"] = _parse_then({"type": "literal", "expected": list(by_name)}, lambda name: by_name[name]())
        if self.number:
            forms["number"] = _parse_then({"type": "float", "allow_inf_nan": False, "strict": True}, self.number)
        return {"type": "tagged-union", "discriminator": _form_of, "choices": forms} if len(forms) > 1 else objects


def _form_of(value: Any) -> str:
    if isinstance(value, str):
        return "name"
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else "object"


def _parse_then(schema: dict[str, Any], function: Callable[[Any], Any]) -> dict[str, Any]:
    call = {"type": "no-info", "function": function}
    return {"type": "function-after", "function": call, "schema": schema}
