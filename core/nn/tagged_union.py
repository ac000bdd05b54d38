"""A kind is a union of frozen dataclasses told apart by their `type`: layers, losses, optimizers, data sources.

`Tagged` marks such a union, so that a spec in JSON finds the right member; a bare name is short for `{"type": name}`.
"""

from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from typing import Any, get_args


def members(union: Any) -> dict[str, Any]:
    """The members of a union of frozen dataclasses (with or without its `Tagged` mark), by their `type`."""
    annotated = getattr(union, "__origin__", union) if hasattr(union, "__metadata__") else union
    return {tag(member): member for member in get_args(annotated) or (annotated,)}


def tag(member: Any) -> str:
    """The word by which a spec names this member."""
    return str(next(f.default for f in fields(member) if f.name == "type"))


def _needs_nothing(member: Any) -> bool:
    return all(f.default is not MISSING or f.default_factory is not MISSING for f in fields(member))


@dataclass(frozen=True)
class Tagged:
    """Marks a union of frozen dataclasses: `Annotated[Relu | Tanh, Tagged()]`.

    Pydantic calls the method below by its name, so that this room needs no pydantic. `number`, where given, makes a
    member of a bare number, as `learning_rate: 0.01` is short for a constant schedule.
    """

    number: Callable[[float], Any] | None = None

    def __get_pydantic_core_schema__(self, union: Any, handler: Any) -> dict[str, Any]:
        """The core schema (plain dictionaries) of this union: by name, by number, or as an object with its `type`."""
        choices = members(union)
        objects = {
            "type": "tagged-union",
            "discriminator": "type",
            "choices": {word: handler.generate_schema(member) for word, member in choices.items()},
        }
        short = {word: member for word, member in choices.items() if _needs_nothing(member)}
        forms: dict[str, Any] = {"object": objects}
        if short:
            forms["name"] = _then({"type": "literal", "expected": list(short)}, lambda word: short[word]())
        if self.number:
            forms["number"] = _then({"type": "float", "allow_inf_nan": False, "strict": True}, self.number)
        return {"type": "tagged-union", "discriminator": _form, "choices": forms} if len(forms) > 1 else objects


def _form(value: Any) -> str:
    if isinstance(value, str):
        return "name"
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else "object"


def _then(schema: dict[str, Any], function: Callable[[Any], Any]) -> dict[str, Any]:
    call = {"type": "no-info", "function": function}
    return {"type": "function-after", "function": call, "schema": schema}
