"""The planning of layers without its refusals, to see what would have become of what was refused."""

import ast
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from pkgutil import walk_packages
from types import CodeType, FunctionType, ModuleType
from typing import Any

import core.nn.layers
import core.nn.plan

LIMITS = ("MAX_LAYERS", "MAX_ROW_NUMBERS")
"""Refusals of what is too large stay: with time and memory enough it would run."""


@contextmanager
def no_refusals() -> Iterator[None]:
    """Within it `plan` goes on where it would have raised `ShapeMismatch`."""
    kept = [(function, function.__code__) for function, _ in _changes()]
    for function, code in _changes():
        function.__code__ = code
    try:
        yield
    finally:
        for function, code in kept:
            function.__code__ = code


@cache
def _changes() -> list[tuple[FunctionType, CodeType]]:
    """What refuses, and its code without."""
    changes = []
    for module in _modules():
        tree = _Unguarded().visit(ast.parse(inspect.getsource(module)))
        codes = dict(_codes(compile(tree, f"{module.__name__} without refusals", "exec", dont_inherit=True)))
        changes += [(function, codes[function.__code__.co_qualname]) for function in _refusing(module)]
    return changes


class _Unguarded(ast.NodeTransformer):
    """Without each `if …: raise ShapeMismatch(…)`."""

    def visit_If(self, node: ast.If) -> Any:
        self.generic_visit(node)
        refuses = isinstance(node.body[-1], ast.Raise) and "ShapeMismatch(" in ast.unparse(node.body[-1])
        if refuses and not any(limit in ast.unparse(node.test) for limit in LIMITS):
            return node.orelse or ast.copy_location(ast.Pass(), node)
        return node


def _modules() -> Iterator[ModuleType]:
    yield core.nn.plan
    for found in walk_packages(core.nn.layers.__path__, "core.nn.layers."):
        yield import_module(found.name)


def _refusing(module: ModuleType) -> Iterator[FunctionType]:
    """A module's own functions, and its classes', that may refuse."""
    for value in vars(module).values():
        for function in (value, *(vars(value).values() if inspect.isclass(value) else ())):
            own = isinstance(function, FunctionType) and function.__module__ == module.__name__
            if own and "ShapeMismatch" in function.__code__.co_names:
                yield function


def _codes(code: CodeType) -> Iterator[tuple[str, CodeType]]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant.co_qualname, constant
            yield from _codes(constant)
