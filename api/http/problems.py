"""Error responses as RFC 9457 problem+json, and the exception handlers that make them."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

import structlog
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from api.http.errors import FieldError, ServiceBusy, StorageFull, body_error, parameter_error, shortened, summarize
from api.http.methods import allowed_methods
from api.http.pointers import message
from api.http.problem_types import HTTP_PROBLEM_TYPES, INTERNAL_ERROR, PROBLEM_TYPES, ProblemType, problem_type_of
from api.http.suggestions import expected_names, unknown_name
from core.blobs.errors import DISK_FULL_ERRNOS, BlobStoreUnavailable
from core.data.errors import InvalidData, InvalidInstance
from core.jobs.errors import INVALID_SPEC_CODES, MAX_ERRORS, InvalidSpec
from core.store.errors import storage_is_full

log = structlog.get_logger("api")

MEDIA_TYPE = "application/problem+json"
MAX_DETAIL_CHARACTERS = 4000
RETRY_AFTER_SECONDS: Mapping[int, int] = {429: 10, 503: 2}


class Problem(BaseModel):
    """An error, described for programs (`code`) and for people (`detail`, `errors`)."""

    type: str = Field(description="`urn:chainrule:problem:` and the code.")
    title: str
    status: int
    detail: str
    code: str = Field(description="A stable identifier of the problem type.")
    request_id: str
    errors: list[FieldError] = Field(default=[], max_length=MAX_ERRORS)
    more_errors: int | None = Field(default=None, description="Number of further errors that were found, if any.")
    state: str | None = Field(default=None, description="The state that does not allow the request (status 409).")


_TITLES = {kind.code: kind.title for kind in PROBLEM_TYPES.values()} | dict(INVALID_SPEC_CODES)
_INTERNAL_DETAIL = "the service failed: look for this request_id in its log"
_UNAVAILABLE_DETAIL = "the {what} does not answer: try again in a moment (nothing was stored)"
_HTTP_DETAILS: Mapping[int, str] = {
    404: "nothing is served at {path}: /docs lists every route",
    405: "{path} does not support {method}: the Allow header and /docs list the methods that it supports",
}


def handlers() -> dict[Any, Callable[[Request, Any], Coroutine[Any, Any, Response]]]:
    """Return the app's exception handlers: for the errors of the table and for those that Starlette raises."""
    return {
        **dict.fromkeys(PROBLEM_TYPES, _handle_error),
        HTTPException: _handle_http_exception,
        OSError: _handle_os_error,
    }


async def _handle_os_error(request: Request, error: OSError) -> Response:
    """Answer 507 for a full disk; re-raise every other error of the operating system."""
    if error.errno in DISK_FULL_ERRNOS:
        return await _handle_error(request, StorageFull())
    raise error


async def _handle_error(request: Request, error: Exception) -> Response:
    if storage_is_full(error):
        error = StorageFull()
    kind = problem_type_of(error)
    if kind.status >= 500 and not isinstance(error, ServiceBusy):
        log_failure("request refused", error, code=kind.code)
    return problem_response(request.scope, kind, _detail(kind, error), errors=_field_errors(error), error=error)


async def _handle_http_exception(request: Request, error: HTTPException) -> Response:
    allowed = allowed_methods(request.app, request.scope) if error.status_code == 405 else []
    if allowed and request.method == "OPTIONS" and "access-control-request-method" not in request.headers:
        return Response(status_code=204, headers={"Allow": ", ".join(allowed)})
    kind = HTTP_PROBLEM_TYPES.get(error.status_code, ProblemType(error.status_code, "http_error", error.detail))
    detail = _HTTP_DETAILS.get(error.status_code, error.detail)
    response = problem_response(request.scope, kind, detail.format(path=request.url.path, method=request.method))
    response.headers.update(error.headers or {})
    if allowed:
        response.headers["Allow"] = ", ".join(allowed)
    return response


def log_failure(event: str, error: Exception, **facts: Any) -> None:
    """Log an error of the service: one line for an error that the table expects, and of the database; else a traceback.

    An error of the database has the statement and its values in its text, which can be megabytes of a client's input.
    """
    if isinstance(error, SQLAlchemyError) or type(error) in PROBLEM_TYPES:
        cause = getattr(error, "orig", None) or error
        reason = shortened(next(iter(str(cause).splitlines()), ""))
        log.error(event, error=type(error).__name__, reason=reason, **facts)
    else:
        log.error(event, exc_info=error, **facts)


def problem_response(
    scope: Mapping[str, Any],
    kind: ProblemType,
    detail: str,
    *,
    errors: Sequence[FieldError] = (),
    error: Exception | None = None,
) -> Response:
    """Return a problem+json response to the request of this ASGI scope."""
    code = _code(kind, error)
    body = Problem(
        type=f"urn:chainrule:problem:{code}",
        title=_TITLES.get(code, kind.title),
        status=kind.status,
        detail=shortened(detail, MAX_DETAIL_CHARACTERS),
        code=code,
        request_id=scope.get("state", {}).get("request_id", ""),
        errors=list(errors[:MAX_ERRORS]),
        more_errors=(len(errors[MAX_ERRORS:]) + getattr(error, "more_errors", 0)) or None,
        state=_state(error),
    )
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS[kind.status])} if kind.status in RETRY_AFTER_SECONDS else None
    return Response(
        body.model_dump_json(exclude_none=True), status_code=kind.status, media_type=MEDIA_TYPE, headers=headers
    )


def internal_error_response(scope: Mapping[str, Any]) -> Response:
    """Return the answer to an unexpected error. It reveals nothing about the cause."""
    return problem_response(scope, INTERNAL_ERROR, _INTERNAL_DETAIL)


def _detail(kind: ProblemType, error: Exception) -> str:
    if kind.status == 503 and not isinstance(error, ServiceBusy):
        return _UNAVAILABLE_DETAIL.format(what="bucket" if isinstance(error, BlobStoreUnavailable) else "database")
    if kind.status == 500:
        return _INTERNAL_DETAIL
    if isinstance(error, RequestValidationError):
        return summarize(_field_errors(error))
    return str(error) or kind.title


def _code(kind: ProblemType, error: Exception | None) -> str:
    return str(getattr(error, "code", None) or kind.code) if kind.status == 422 else kind.code


def _state(error: Exception | None) -> str | None:
    state = getattr(error, "state", None) or getattr(error, "status", None)
    return None if state is None else str(state)


def _field_errors(error: Exception) -> list[FieldError]:
    if isinstance(error, RequestValidationError):
        return [parameter_error(_parameter(one["loc"]), _parameter_message(one)) for one in error.errors()]
    if isinstance(error, InvalidSpec):
        return [body_error(pointer, text) for pointer, text in error.errors]
    if isinstance(error, InvalidData | InvalidInstance):
        return [body_error(error.pointer, error.message)]
    return list(getattr(error, "errors", ()))


def _parameter(location: Sequence[int | str]) -> str:
    """Return the parameter of a location such as `("query", "status", 0)`."""
    return str(location[1] if len(location) > 1 else location[-1])


def _parameter_message(error: Mapping[str, Any]) -> str:
    names, value = expected_names(error.get("ctx", {})), error.get("input")
    if error["type"] in ("enum", "literal_error") and names and isinstance(value, str):
        return unknown_name(value, names)
    return message(error)
