"""A warning as JSON."""

from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import BaseModel, Field


class JobWarning(BaseModel):
    """What is allowed in a job and probably not meant."""

    code: str = Field(description="A stable word for its kind.")
    pointer: str = Field(description="JSON pointer to the place in the spec.")
    message: str = Field(description="What is probably not meant, and what to do.")


def warnings_view(warnings: Iterable[Sequence[Any]]) -> list[JobWarning]:
    """Return the view of warnings: each a code, a pointer and a message."""
    return [JobWarning(code=code, pointer=pointer, message=message) for code, pointer, message in warnings]
