"""JSON responses: views serialized once by pydantic, without FastAPI's encoder, which costs more than the query."""

from typing import Any

import pydantic_core
from pydantic import BaseModel
from starlette.responses import Response


class JsonResponse(Response):
    """A JSON response from a view, from plain values, or from ready JSON text. Non-finite numbers become null."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Return the body's bytes."""
        if isinstance(content, str):
            return content.encode()
        if isinstance(content, BaseModel):
            return content.model_dump_json().encode()
        return json_bytes(content)


def json_bytes(content: Any) -> bytes:
    """Return plain values as JSON; non-finite numbers become null."""
    return pydantic_core.to_json(content, inf_nan_mode="null")
