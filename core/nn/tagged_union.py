"""Tagged unions: frozen dataclasses with a `type` field that names the member, such as layers, losses or optimizers.

`Tagged` marks such a union, so that JSON selects the member by its `type`; a bare name is short for `{"type": name}`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import MISSING, dataclass, fields
from typing import Any, get_args

MAX_INVALID_PARTS = 200
"""Values that are not valid, or whose parts are not, after which the others are not checked."""

UNCHECKED = "unchecked"
"""The form of a value that is not checked, since the spec is invalid anyway."""


@dataclass(slots=True)
class _Count:
    """The tagged values of one validation whose check has begun, and those that were valid."""

    begun: int = 0
    valid: int = 0


_count: ContextVar[_Count | None] = ContextVar("count", default=None)


@contextmanager
def bounded_validation() -> Iterator[None]:
    """Bound the errors of a validation in this context: each wrong layer would otherwise take a kilobyte."""
    token = _count.set(_Count())
    try:
        yield
    finally:
        _count.reset(token)


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
    """A mark of a union of frozen dataclasses: `Annotated[Relu | Tanh, Tagged("Activation")]`.

    `name` is that of the union in schemas. If given, `number` makes a member of a bare number: `learning_rate: 0.01` is
    short for a constant schedule. Pydantic finds the method below by its name, so `core.nn` does not import pydantic.
    """

    name: str
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
        if len(forms) == 1:
            return objects | self._named
        forms[UNCHECKED] = {"type": "any"}
        union = {"type": "tagged-union", "discriminator": _form_of, "choices": forms}
        return _parse_then(union, _count_valid) | self._named

    @property
    def _named(self) -> dict[str, Any]:
        return {"ref": self.name, "metadata": {"pydantic_js_updates": {"title": self.name}}}


def _form_of(value: Any) -> str:
    count = _count.get()
    if count is not None:
        count.begun += 1
        if count.begun - count.valid > MAX_INVALID_PARTS:
            return UNCHECKED
    if isinstance(value, str):
        return "name"
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else "object"


def _count_valid(value: Any) -> Any:
    count = _count.get()
    if count is not None:
        count.valid += 1
    return value


def _parse_then(schema: dict[str, Any], function: Callable[[Any], Any]) -> dict[str, Any]:
    call = {"type": "no-info", "function": function}
    return {"type": "function-after", "function": call, "schema": schema}
