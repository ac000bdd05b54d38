"""What the encoders of single values as texts share: categories, tags, dates, booleans."""

from typing import Any, ClassVar

from core.data.cells import category_texts, is_missing
from core.data.encoders.encoder import WrongValue
from core.data.schema import ColumnType


class ValueOptions:
    """The options of an encoder of values that come as texts."""

    __slots__ = ()

    takes: ClassVar[tuple[ColumnType, ...]] = ("category", "text")
    alone: ClassVar[bool] = False


def texts_of(value: Any) -> list[str]:
    """Return the texts that a JSON value may have in a file; none for a missing one. Raises `WrongValue` for lists."""
    if is_missing(value):
        return []
    if not isinstance(value, str | int | float):
        raise WrongValue("is a list or an object: give a text, a number or a boolean")
    return category_texts(value)


def value_schema(column: str) -> dict[str, Any]:
    """Return the JSON Schema of a raw value."""
    return {"title": column, "type": ["string", "number", "boolean", "null"]}
