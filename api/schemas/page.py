"""Pages of lists."""

from typing import Any, Generic, TypeVar

from pydantic import BaseModel, Field

Item = TypeVar("Item")


class Page(BaseModel, Generic[Item]):
    """One page of a list, newest first."""

    @classmethod
    def model_parametrized_name(cls, params: tuple[Any, ...]) -> str:
        """Return the name of a page in the OpenAPI document, such as `JobSummaryPage`."""
        return f"{params[0].__name__}Page"

    items: list[Item]
    next_cursor: str | None = Field(description="`?cursor=` of the next page; null on the last page.")
