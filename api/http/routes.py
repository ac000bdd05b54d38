"""The router of the API: routes that refuse unknown query parameters, and answer with a media type the client accepts.

FastAPI ignores an unknown parameter and takes the last of several values, so a misspelt name would mislead.
"""

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, get_args, get_origin

from fastapi import APIRouter, Request
from fastapi.dependencies.utils import get_flat_params
from fastapi.params import Query
from fastapi.routing import APIRoute
from starlette.datastructures import QueryParams
from starlette.responses import Response

from api.http.accept import negotiate
from api.http.body import discard
from api.http.errors import InvalidParameter, RequestError
from api.http.parameters import OTHER_NAMES
from core.spelling import did_you_mean, plain

MEDIA_TYPE = "media_type"
"""Key of the negotiated media type in the state of a request."""

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class Route(APIRoute):
    """A route that checks the query and the Accept header before anything else."""

    def get_route_handler(self) -> Handler:
        """Return the handler of a request."""
        handle, parameters, offered = super().get_route_handler(), QueryParameters(self), media_types(self)

        async def checked(request: Request) -> Response:
            try:
                parameters.check(request.scope["query_string"])
                if offered:
                    request.scope["state"][MEDIA_TYPE] = negotiate(request.headers.get("accept", ""), offered)
            except RequestError:
                await discard(request)
                raise
            response = await handle(request)
            if len(offered) > 1:
                response.headers.add_vary_header("Accept")
            return response

        return checked


Router = partial(APIRouter, route_class=Route)


class QueryParameters:
    """The query parameters of a route: those that it declares, and those of its description."""

    def __init__(self, route: APIRoute) -> None:
        fields = [field for field in get_flat_params(route.dependant) if isinstance(field.field_info, Query)]
        described = [one for one in (route.openapi_extra or {}).get("parameters", ()) if one["in"] == "query"]
        self.objects = {one["name"] for one in described if one.get("style") == "deepObject"}
        self.names = {field.alias for field in fields} | {one["name"] for one in described} - self.objects
        self.lists = {field.alias for field in fields if _is_list(field.field_info.annotation)}

    def check(self, query: bytes) -> None:
        """Raise `InvalidParameter` for a name that is unknown, or given twice where it has one value."""
        if not query:
            return
        seen: set[str] = set()
        for name, _ in QueryParams(query).multi_items():
            if name not in self.names and not self._is_entry(name):
                raise InvalidParameter(name, self._unknown(name))
            if name in seen and name not in self.lists:
                raise InvalidParameter(name, "is given twice: leave one of them out")
            seen.add(name)

    def _is_entry(self, name: str) -> bool:
        """Return whether a name is an entry of an object, such as `metadata[lesson]`."""
        return name.endswith("]") and name.partition("[")[0] in self.objects

    def _unknown(self, name: str) -> str:
        known = [*sorted(self.names), *(f"{name}[key]" for name in sorted(self.objects))]
        if not known:
            return "is not known here: this route has none"
        other = OTHER_NAMES.get(plain(name))
        meant = f"did you mean {other}? " if other in known else did_you_mean(name, known)
        return f"is not known here: {meant}use {', '.join(known)}"


def _is_list(annotation: Any) -> bool:
    return any(get_origin(part) is list for part in (annotation, *get_args(annotation)))


def media_types(route: APIRoute) -> list[str]:
    """Return the media types of a route's successful answers, its usual one first; none if they have no content."""
    if route.status_code == 204:
        return []
    response_class: Any = route.response_class  # FastAPI wraps its default
    usual = getattr(response_class, "value", response_class).media_type
    others = [
        kind
        for status, described in route.responses.items()
        if str(status).startswith("2")
        for kind in described.get("content", {})
    ]
    return list(dict.fromkeys([usual, *others] if usual else others))


def media_type_of_answer(request: Request) -> str:
    """Return the media type in which this request is answered."""
    return str(request.state.media_type)
