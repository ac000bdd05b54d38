"""The page that lists every member of every kind, made from the code: arguments, bounds, defaults, formulas, papers.

`python -m core.reference` prints it; `make docs` writes it to `docs/members.md`, and a test fails where that is not it.
"""

import inspect
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from types import MappingProxyType, NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le, Len, Lt, MaxLen, MinLen

from core.docstrings import attribute_docstrings
from core.nn.activations import Activation
from core.nn.constraints import Constraint
from core.nn.initializers import Initializer
from core.nn.layers.composite import Layer
from core.nn.losses import Loss
from core.nn.metrics import Metric
from core.nn.optimizers.wrappers import Inner, Optimizer
from core.nn.regularizers import Regularizer
from core.nn.schedules import ConstantRate, Schedule
from core.nn.tagged_union import members

HEAD = """# Every member

What a job can be made of. This page is made from the code by `make docs`: each entry is the class's own words, and each
argument's bounds are those that a spec is held to. An argument without a default has to be given. A member of which
nothing has to be given may be named alone: `"relu"` is short for `{"type": "relu"}`, and a bare number for a constant
learning rate.
"""


class Kind(NamedTuple):
    """A kind of members: what it is called, one of it, their union, and which of their methods tell more, by a word."""

    title: str
    one: str
    union: Any
    told: Mapping[str, str]


KINDS: tuple[Kind, ...] = (
    Kind("Layers", "layer", Layer, MappingProxyType({"plan": "Weights", "forward": "Passes"})),
    Kind("Activations", "activation", Activation, MappingProxyType({"forward": "Gradient"})),
    Kind("Losses", "loss", Loss, MappingProxyType({})),
    Kind("Optimizers", "optimizer", Optimizer, MappingProxyType({"update": "Step", "slots": "Remembers"})),
    Kind("Schedules", "schedule", Schedule, MappingProxyType({})),
    Kind("Initializers", "initializer", Initializer, MappingProxyType({})),
    Kind("Regularizers", "regularizer", Regularizer, MappingProxyType({"penalty": "Penalty"})),
    Kind("Constraints", "constraint", Constraint, MappingProxyType({"apply": "After a step"})),
    Kind("Metrics", "metric", Metric, MappingProxyType({"add": "Compares", "value": "Value"})),
)

PLAIN: Mapping[Any, str] = MappingProxyType(
    {
        int: "integer",
        float: "number",
        bool: "true or false",
        str: "text",
        NoneType: "null",
        Inner: "[optimizer](#optimizers) of one pass a step",
    }
)
BOUNDS: Mapping[type, Callable[[Any], str]] = MappingProxyType(
    {
        Gt: lambda bound: f"> {bound.gt}",
        Ge: lambda bound: f"≥ {bound.ge}",
        Lt: lambda bound: f"< {bound.lt}",
        Le: lambda bound: f"≤ {bound.le}",
        MinLen: lambda bound: f"at least {bound.min_length} of them",
        MaxLen: lambda bound: f"at most {bound.max_length} of them",
        Len: lambda bound: f"{bound.min_length} to {bound.max_length} of them",
    }
)


def page() -> str:
    """The whole page, in Markdown."""
    return "\n".join([HEAD, *(line for kind in KINDS for line in _section(kind))]).rstrip() + "\n"


def _section(kind: Kind) -> Iterator[str]:
    yield f"## {kind.title}\n"
    for word, member in members(kind.union).items():
        yield f"### `{word}`\n"
        yield from _entry(member, kind.told)


def _entry(member: type, told: Mapping[str, str]) -> Iterator[str]:
    yield f"{inspect.getdoc(member)}\n"
    for method, word in told.items():
        yield f"*{word}:* {inspect.getdoc(getattr(member, method))}\n"
    hints, words = get_type_hints(member, include_extras=True), attribute_docstrings(member)
    rows = [_row(each, hints[each.name], words[each.name]) for each in _arguments(member)]
    if rows:
        yield "\n".join(["| argument | what it takes | default | what it means |", "|---|---|---|---|", *rows, ""])


def _arguments(member: Any) -> list[Field[Any]]:
    return [each for each in fields(member) if each.name != "type"]


def _row(argument: Field[Any], hint: Any, words: str) -> str:
    default = _default(argument)
    shown = "" if default is MISSING else f"`{json.dumps(_plain(default), ensure_ascii=False)}`"
    cells = [f"`{argument.name}`", taken(hint), shown, " ".join(words.split())]
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _default(argument: Field[Any]) -> Any:
    return argument.default if argument.default_factory is MISSING else argument.default_factory()


def _plain(value: Any) -> Any:
    """A default as a client would write it: short, where it can be."""
    if isinstance(value, ConstantRate):
        return value.learning_rate
    if is_dataclass(value):
        given = {each.name: getattr(value, each.name) for each in _arguments(value)}
        changed = {
            each.name: _plain(given[each.name]) for each in _arguments(value) if given[each.name] != _default(each)
        }
        word = next(each.default for each in fields(value) if each.name == "type")
        return {"type": word, **changed} if changed else word
    return [_plain(part) for part in value] if isinstance(value, tuple) else value


def taken(hint: Any) -> str:
    """What an argument takes, in words, from its annotation."""
    kind = next((kind for kind in KINDS if hint == kind.union), None)
    if kind is not None:
        return f"[{kind.one}](#{kind.title.lower()})"
    if hint in PLAIN:
        return PLAIN[hint]
    return FORMS[get_origin(hint)](get_args(hint))


def _bounded(parts: tuple[Any, ...]) -> str:
    what, *bounds = parts
    return f"{taken(what)} {' and '.join(BOUNDS[type(bound)](bound) for bound in bounds)}"


def _either(parts: tuple[Any, ...]) -> str:
    return " or ".join(map(taken, parts))


def _words(parts: tuple[Any, ...]) -> str:
    return " or ".join(f"`{json.dumps(part)}`" for part in parts)


def _list(parts: tuple[Any, ...]) -> str:
    return f"list of {taken(parts[0])};" if parts[1:] == (...,) else f"[{', '.join(map(taken, parts))}]"


def _table(parts: tuple[Any, ...]) -> str:
    return f"object from {taken(parts[0])} to {taken(parts[1])};"


FORMS: Mapping[Any, Callable[[tuple[Any, ...]], str]] = MappingProxyType(
    {Annotated: _bounded, Union: _either, UnionType: _either, Literal: _words, tuple: _list, Mapping: _table}
)
"""How each form of an annotation reads."""


if __name__ == "__main__":
    sys.stdout.write(page())
