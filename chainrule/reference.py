"""Writer of the reference pages: members of each kind, settings and error codes, generated from the code.

`python -m chainrule.reference docs/reference` writes the pages. A test compares the committed pages with the code.
"""

import inspect
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from types import MappingProxyType, NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le, Len, Lt, MaxLen, MinLen

from api.http.problem_types import (
    HTTP_PROBLEM_TYPES,
    INTERNAL_ERROR,
    INVALID_REQUEST,
    PROBLEM_TYPES,
    TOO_MANY_CONNECTIONS,
)
from core.data.encoders import EncoderOptions
from core.docstrings import attribute_docstrings
from core.jobs.errors import INVALID_SPEC_CODES, MAX_ERRORS
from core.nn.activations import Activation
from core.nn.constraints import Constraint
from core.nn.initializers import Initializer
from core.nn.layers.composite import Layer
from core.nn.losses import Loss
from core.nn.metrics import Metric
from core.nn.optimizers.wrappers import OnePassOptimizer, Optimizer
from core.nn.regularizers import Regularizer
from core.nn.schedules import ConstantRate, Schedule
from core.nn.tagged_union import members, tag
from core.settings import Settings


class Kind(NamedTuple):
    """A kind of members: its page, title, union, and the methods whose docstrings are shown, each with its label."""

    page: str
    title: str
    singular: str
    union: Any
    methods: Mapping[str, str]
    head: str


KINDS: tuple[Kind, ...] = (
    Kind(
        "layers",
        "Layers",
        "layer",
        Layer,
        MappingProxyType({"plan": "Weights", "forward": "Passes"}),
        "The parts of a network. Each layer maps one array to another; composite layers contain other layers.",
    ),
    Kind(
        "activations",
        "Activations",
        "activation",
        Activation,
        MappingProxyType({"forward": "Gradient"}),
        "The functions that a layer can apply to its output.",
    ),
    Kind(
        "losses",
        "Losses",
        "loss",
        Loss,
        MappingProxyType({}),
        "The function of output and target that training minimizes.",
    ),
    Kind(
        "optimizers",
        "Optimizers",
        "optimizer",
        Optimizer,
        MappingProxyType({"update": "Step", "slots": "State"}),
        "How a step updates the weights from the gradient. Some optimizers wrap another one.",
    ),
    Kind(
        "schedules",
        "Schedules",
        "schedule",
        Schedule,
        MappingProxyType({}),
        "The learning rate as a function of the step. A bare number is short for a constant learning rate.",
    ),
    Kind(
        "initializers",
        "Initializers",
        "initializer",
        Initializer,
        MappingProxyType({}),
        "The distributions from which weights are drawn before the first step.",
    ),
    Kind(
        "regularizers",
        "Regularizers",
        "regularizer",
        Regularizer,
        MappingProxyType({"penalty": "Penalty"}),
        "A regularizer adds a penalty on a weight to the loss.",
    ),
    Kind(
        "regularizers",
        "Constraints",
        "constraint",
        Constraint,
        MappingProxyType({"apply": "After a step"}),
        "A constraint changes a weight after each step.",
    ),
    Kind(
        "metrics",
        "Metrics",
        "metric",
        Metric,
        MappingProxyType({"add": "Compares", "value": "Value"}),
        "Measures of an epoch's outputs. They do not affect the gradient.",
    ),
    Kind(
        "encoders",
        "Encoders",
        "encoder",
        EncoderOptions,
        MappingProxyType({"shape_for": "Shape", "fit": "Fitted"}),
        "How the values of a dataset's column become numbers. Encoders are fitted on the training rows and stored with "
        "the weights, so that predictions take values as they stood in the dataset.",
    ),
)

GENERATED = "Generated from the code by `make docs`."
ARGUMENTS = """An argument without a default is required. A member without required arguments can be given by its
name alone: `"relu"` is short for `{"type": "relu"}`."""

NAMES: Mapping[Any, str] = MappingProxyType(
    {
        int: "integer",
        float: "number",
        bool: "true or false",
        str: "text",
        NoneType: "null",
        OnePassOptimizer: "[optimizer](optimizers.md) of one pass a step",
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


def pages() -> dict[str, str]:
    """Return the Markdown of each reference page, by its file name."""
    members_pages = {f"{kind.page}.md": _members_page(kind.page) for kind in KINDS}
    return {**members_pages, "settings.md": settings_page(), "errors.md": errors_page()}


def settings_page() -> str:
    """Return the page of the environment variables."""
    rows = [f"| `{name}` | {default} | {meaning} |" for name, default, meaning in Settings.table()]
    return SETTINGS_HEAD + "\n".join(rows) + "\n"


def errors_page() -> str:
    """Return the page of the problem codes, ordered by status and code."""
    kinds = [
        *PROBLEM_TYPES.values(),
        *HTTP_PROBLEM_TYPES.values(),
        TOO_MANY_CONNECTIONS,
        INVALID_REQUEST,
        INTERNAL_ERROR,
    ]
    facts = {(kind.status, kind.code, kind.title) for kind in kinds}
    facts |= {(422, code, title) for code, title in INVALID_SPEC_CODES.items()}
    rows = [f"| {status} | `{code}` | {title} |" for status, code, title in sorted(facts)]
    return ERRORS_HEAD + "\n".join(rows) + "\n"


SETTINGS_HEAD = f"""# Settings

{GENERATED}

Set them in the environment, or in files of the same names in lower case in `/run/secrets`. An unknown
`CHAINRULE_…` variable or an invalid value is an error at start.

| variable | default | meaning |
|---|---|---|
"""

ERRORS_HEAD = f"""# Error codes

{GENERATED}

Every error is an [RFC 9457](https://www.rfc-editor.org/rfc/rfc9457) `application/problem+json` document.
`code` is stable and meant for programs. `detail` and `errors` say what to change; each of `errors` has a JSON pointer
(RFC 6901) into the body, or the name of a parameter. There are at most {MAX_ERRORS}; `more_errors` is the number of
further ones that were found. 429 and 503 carry `Retry-After`.

| status | code | meaning |
|---|---|---|
"""


def _members_page(page: str) -> str:
    kinds = [kind for kind in KINDS if kind.page == page]
    titles = " and ".join(kind.title for kind in kinds).capitalize()
    lines = [f"# {titles}\n", f"{GENERATED}\n", f"{ARGUMENTS}\n"]
    if len(kinds) == 1:
        lines += [f"{kinds[0].head}\n", *_entries(kinds[0], "##")]
    else:
        for kind in kinds:
            lines += [f"## {kind.title}\n", f"{kind.head}\n", *_entries(kind, "###")]
    return "\n".join(lines).rstrip() + "\n"


def _entries(kind: Kind, level: str) -> Iterator[str]:
    for name, member in members(kind.union).items():
        yield f"{level} `{name}`\n"
        yield from _entry(member, kind.methods)


def _entry(member: type, methods: Mapping[str, str]) -> Iterator[str]:
    yield f"{inspect.getdoc(member)}\n"
    for method, label in methods.items():
        yield f"*{label}:* {inspect.getdoc(getattr(member, method))}\n"
    hints, meanings = get_type_hints(member, include_extras=True), attribute_docstrings(member)
    rows = [_row(each, hints[each.name], meanings[each.name]) for each in _arguments(member)]
    if rows:
        yield "\n".join(["| argument | accepts | default | meaning |", "|---|---|---|---|", *rows, ""])


def _arguments(member: Any) -> list[Field[Any]]:
    """Return the fields of a member, its own before those of its base classes."""
    bases = (member if isinstance(member, type) else type(member)).__mro__

    def depth(each: Field[Any]) -> int:
        return next(depth for depth, base in enumerate(bases) if each.name in inspect.get_annotations(base))

    return sorted((each for each in fields(member) if each.name != "type"), key=depth)


def _row(argument: Field[Any], hint: Any, meaning: str) -> str:
    default = _default(argument)
    shown = "" if default is MISSING else f"`{json.dumps(_as_json(default), ensure_ascii=False)}`"
    cells = [f"`{argument.name}`", accepted_values(hint), shown, " ".join(meaning.split())]
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _default(argument: Field[Any]) -> Any:
    return argument.default if argument.default_factory is MISSING else argument.default_factory()


def _as_json(value: Any) -> Any:
    """Return a default as JSON in its shortest form: by name or number where the spec allows it."""
    if isinstance(value, ConstantRate):
        return value.learning_rate
    if is_dataclass(value):
        given = {each.name: getattr(value, each.name) for each in _arguments(value)}
        changed = {
            each.name: _as_json(given[each.name]) for each in _arguments(value) if given[each.name] != _default(each)
        }
        return {"type": tag(value), **changed} if changed else tag(value)
    return [_as_json(part) for part in value] if isinstance(value, tuple) else value


def accepted_values(hint: Any) -> str:
    """Return in words which values an annotation accepts."""
    kind = next((kind for kind in KINDS if hint == kind.union), None)
    if kind is not None:
        return f"[{kind.singular}]({kind.page}.md{'#constraints' if kind.union == Constraint else ''})"
    if hint in NAMES:
        return NAMES[hint]
    return FORMS[get_origin(hint)](get_args(hint))


def _bounded(parts: tuple[Any, ...]) -> str:
    what, *bounds = parts
    return f"{accepted_values(what)} {' and '.join(BOUNDS[type(bound)](bound) for bound in bounds)}"


def _union(parts: tuple[Any, ...]) -> str:
    return " or ".join(map(accepted_values, parts))


def _literal(parts: tuple[Any, ...]) -> str:
    return " or ".join(f"`{json.dumps(part)}`" for part in parts)


def _list(parts: tuple[Any, ...]) -> str:
    return (
        f"list of {accepted_values(parts[0])};"
        if parts[1:] == (...,)
        else f"[{', '.join(map(accepted_values, parts))}]"
    )


def _mapping(parts: tuple[Any, ...]) -> str:
    return f"object from {accepted_values(parts[0])} to {accepted_values(parts[1])};"


FORMS: Mapping[Any, Callable[[tuple[Any, ...]], str]] = MappingProxyType(
    {Annotated: _bounded, Union: _union, UnionType: _union, Literal: _literal, tuple: _list, Mapping: _mapping}
)
"""The description of each generic form of an annotation, from its arguments."""


def write(folder: Path) -> None:
    """Write the pages into a folder."""
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
