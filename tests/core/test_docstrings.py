"""What stands under a field is found, of every class on its way."""

from dataclasses import dataclass
from typing import ClassVar

from core.docstrings import attribute_docstrings


@dataclass
class Parent:
    """The class's own words are not a field's."""

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
    """Its own."""

    def method(self) -> None:
        """No field."""


def test_the_string_under_a_field_is_its_own() -> None:
    assert attribute_docstrings(Parent) == {"first": "One line.", "kind": "Several\n    lines."}


def test_a_class_has_those_that_it_inherits() -> None:
    assert attribute_docstrings(Child) == {**attribute_docstrings(Parent), "second": "Its own."}


def test_a_class_without_a_source_has_none() -> None:
    assert attribute_docstrings(int) == {}
