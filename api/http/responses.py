"""How views leave: serialised once by pydantic's own code, past FastAPI's encoder, which costs more than the query."""

from typing import Any

import pydantic_core
from pydantic import BaseModel
from starlette.responses import Response


class JsonResponse(Response):
    """JSON from a view, from plain values, or as it already stands. A number that is not finite leaves as null."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """The body's bytes."""
        if isinstance(content, str):
            return content.encode()
        if isinstance(content, BaseModel):
            return content.model_dump_json().encode()
        return pydantic_core.to_json(content, inf_nan_mode="null")
