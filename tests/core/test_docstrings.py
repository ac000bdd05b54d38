"""Attribute docstrings."""

from dataclasses import dataclass
from typing import ClassVar

from core.docstrings import attribute_docstrings


@dataclass
class Parent:
    """A class docstring, which belongs to no field."""

    first: int = 0
    """One line."""
    bare: int = 0
    kind: ClassVar[str] = ""
    """
    Several
        lines.
    """


@dataclass
class Child(Parent):
    first: int = 1
    second: int = 2
    """Of the child."""

    def method(self) -> None:
        """A method docstring, which belongs to no field."""


def test_string_below_a_field_is_its_docstring() -> None:
    assert attribute_docstrings(Parent) == {"first": "One line.", "kind": "Several\n    lines."}


def test_inherited_fields_are_included() -> None:
    assert attribute_docstrings(Child) == {**attribute_docstrings(Parent), "second": "Of the child."}


def test_class_without_source_has_no_docstrings() -> None:
    assert attribute_docstrings(int) == {}
