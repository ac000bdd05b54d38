"""Attribute docstrings: the strings below the fields of a class.

They are parsed from the source on demand, since only the documentation needs them. Pydantic can read them while it
builds a model, but it parses the whole file twice for each class, which was most of a worker's start-up time.
"""

import ast
import inspect
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import pairwise
from types import MappingProxyType


def attribute_docstrings(owner: type) -> Mapping[str, str]:
    """Return the docstring of each field of a module-level class, inherited fields included."""
    found: dict[str, str] = {}
    for base in reversed(owner.__mro__[:-1]):
        found |= _module_docstrings(base.__module__).get(base.__name__, {})
    return found


@cache
def _module_docstrings(name: str) -> Mapping[str, dict[str, str]]:
    try:
        tree = ast.parse(inspect.getsource(sys.modules[name]))
    except (OSError, TypeError):  # a class written in C, or a file that has been removed
        return MappingProxyType({})
    classes = (node for node in tree.body if isinstance(node, ast.ClassDef))
    return MappingProxyType({node.name: dict(_class_docstrings(node)) for node in classes})


def _class_docstrings(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for field, below in pairwise(node.body):
        if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
            continue
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) and isinstance(below.value.value, str):
            yield field.target.id, inspect.cleandoc(below.value.value)
