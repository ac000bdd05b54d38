"""The strings under the fields of a class, which say what each field is for.

They are read from the source when somebody asks for them. Pydantic can do it while it builds a model, but parses a
class's whole file twice for each class: most of the time that a worker took to start, for words that only the docs page
needs.
"""

import ast
import inspect
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import pairwise
from types import MappingProxyType


def attribute_docstrings(owner: type) -> Mapping[str, str]:
    """The string under each field of a class of a module's top level, those that it inherits included."""
    found: dict[str, str] = {}
    for base in reversed(owner.__mro__[:-1]):
        found |= _of_module(base.__module__).get(base.__name__, {})
    return found


@cache
def _of_module(name: str) -> Mapping[str, dict[str, str]]:
    try:
        tree = ast.parse(inspect.getsource(sys.modules[name]))
    except (OSError, TypeError):  # written in C, or gone
        return MappingProxyType({})
    classes = (node for node in tree.body if isinstance(node, ast.ClassDef))
    return MappingProxyType({node.name: dict(_of_class(node)) for node in classes})


def _of_class(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for field, below in pairwise(node.body):
        if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
            continue
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) and isinstance(below.value.value, str):
            yield field.target.id, inspect.cleandoc(below.value.value)
