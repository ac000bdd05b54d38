"""Every error that a client meets, as RFC 9457 problem+json.

One table maps each fact to its status, its stable word and its title; facts of this room stand here, the rest in core.
"""

import errno
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from sqlalchemy.exc import InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from api.http.pointers import message
from api.services.schema_inference import TooManyUploads, UnreadableFile
from core.blobs.folder import BlobsAway, DamagedBlob, NoSuchBlob
from core.data.errors import InvalidData, InvalidFile, InvalidInstance
from core.jobs.resolve import InvalidSpec
from core.store.errors import (
    BadCursor,
    DatasetInUse,
    KeyInProgress,
    KeyReused,
    NoSuchDataset,
    NoSuchJob,
    TooManyJobs,
    WrongState,
    storage_is_full,
)

log = structlog.get_logger("api")

MEDIA_TYPE = "application/problem+json"
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
RETRY_AFTER_SECONDS: Mapping[int, int] = {429: 10, 503: 2}


class FieldError(BaseModel):
    """One thing that is wrong: a place in the body (`pointer`) or a parameter, and what to do about it."""

    pointer: str | None = Field(default=None, description="A JSON pointer (RFC 6901) into the body that was sent.")
    parameter: str | None = Field(default=None, description="The query, path or header parameter that is wrong.")
    message: str


class Problem(BaseModel):
    """What went wrong, for a program (`code`) and for a reader (`detail`, `errors`)."""

    type: str = Field(description="`urn:chainrule:problem:` and the code.")
    title: str
    status: int
    detail: str
    code: str = Field(description="A stable word.")
    request_id: str
    errors: list[FieldError] = []
    state: str | None = Field(default=None, description="The state that forbids it, where the status is 409.")


class Refusal(Exception):
    """A request that this room refuses; the places that are wrong, where it can say them."""

    errors: Sequence[FieldError] = ()


class InvalidBody(Refusal):
    """The body is not what this route takes."""

    def __init__(self, errors: Sequence[tuple[str, str]], code: str = "invalid_body") -> None:
        self.errors = [FieldError(pointer=place, message=text) for place, text in errors]
        self.code = code
        super().__init__(_summary(self.errors))


class InvalidParameter(Refusal):
    """A parameter is not what this route takes."""

    def __init__(self, parameter: str, text: str) -> None:
        self.errors = [FieldError(parameter=parameter, message=text)]
        super().__init__(_summary(self.errors))


class UnsupportedMediaType(Refusal):
    """A body that the route does not read."""

    def __init__(self, got: str, wanted: Sequence[str]) -> None:
        sent = got or "no Content-Type"
        super().__init__(f"this route reads {', '.join(wanted)}, and got {sent}: set the Content-Type header")


class BodyTooLarge(Refusal):
    """The body is larger than this route takes."""

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"the body may hold {limit:,} bytes at most: send less, or raise CHAINRULE_MAX_BODY_BYTES "
            "(for uploads CHAINRULE_MAX_UPLOAD_BYTES)"
        )


class BodyTooSlow(Refusal):
    """The body did not come in time."""

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"the body did not come within {seconds:g} s and a second for each half kilobyte: send it faster, "
            "or raise CHAINRULE_CLIENT_SECONDS"
        )


class JobNotTrained(Refusal):
    """The job has no weights to predict with."""

    def __init__(self, job_id: str, status: str) -> None:
        self.state = status
        super().__init__(f"{job_id} is {status} and has no checkpoint: ask again when it has trained an epoch")


class StorageFull(Refusal):
    """There is no room for what came; nothing of it stays."""

    def __init__(self) -> None:
        super().__init__(
            "the service's disk is full, and nothing of this request was kept: make room on it and send it again"
        )


class NoSuchPage(Refusal):
    """There is nothing at this address."""


@dataclass(frozen=True)
class Fact:
    """How a client is told of an error class."""

    status: int
    code: str
    title: str


FACTS: Mapping[type[Exception], Fact] = {
    InvalidBody: Fact(422, "invalid_body", "The body is not valid"),
    InvalidParameter: Fact(422, "invalid_parameter", "A parameter is not valid"),
    RequestValidationError: Fact(422, "invalid_parameter", "A parameter is not valid"),
    BadCursor: Fact(422, "invalid_cursor", "The cursor is not valid"),
    InvalidSpec: Fact(422, "invalid_spec", "The job cannot be trained as it stands"),
    InvalidData: Fact(422, "invalid_data", "The data cannot be learned from as it stands"),
    InvalidInstance: Fact(422, "invalid_instance", "An instance does not fit the model"),
    InvalidFile: Fact(422, "invalid_file", "The file is not what its format says"),
    UnreadableFile: Fact(422, UnreadableFile.code, "The file could not be read"),
    KeyReused: Fact(422, "idempotency_key_reused", "The Idempotency-Key belongs to another body"),
    NoSuchJob: Fact(404, "unknown_job", "No such job"),
    NoSuchDataset: Fact(404, "unknown_dataset", "No such dataset"),
    NoSuchPage: Fact(404, "unknown_path", "No such page"),
    WrongState: Fact(409, "wrong_state", "The job's state does not allow it"),
    JobNotTrained: Fact(409, "job_not_trained", "The job has no weights yet"),
    DatasetInUse: Fact(409, "dataset_in_use", "A job needs the dataset"),
    KeyInProgress: Fact(409, "idempotency_key_in_progress", "The first request is still under way"),
    BodyTooSlow: Fact(408, "body_too_slow", "The body did not come in time"),
    BodyTooLarge: Fact(413, "body_too_large", "The body is too large"),
    UnsupportedMediaType: Fact(415, "unsupported_media_type", "The body's type is not read here"),
    TooManyJobs: Fact(429, "too_many_jobs", "Too many jobs wait"),
    NoSuchBlob: Fact(500, "missing_file", "A stored file is missing"),
    DamagedBlob: Fact(500, "damaged_file", "A stored file is damaged"),
    ClientDisconnect: Fact(400, "incomplete_body", "The body broke off"),
    OperationalError: Fact(503, "database_away", "The database cannot be reached"),
    InterfaceError: Fact(503, "database_away", "The database cannot be reached"),
    InternalError: Fact(503, "database_away", "The database cannot be reached"),
    PoolTimeout: Fact(503, "database_busy", "The database is busy"),
    TooManyUploads: Fact(429, "too_many_uploads", "Too many uploads wait to be read"),
    BlobsAway: Fact(503, "storage_away", "The stored files cannot be reached"),
    StorageFull: Fact(507, "storage_full", "There is no room left"),
}

HTTP_FACTS: Mapping[int, Fact] = {
    404: Fact(404, "unknown_path", "No such page"),
    405: Fact(405, "method_not_allowed", "The method is not allowed here"),
}

_TITLES = {fact.code: fact.title for fact in FACTS.values()}

CROWDED = Fact(503, "too_many_connections", "Too many connections are open")
INTERNAL = Fact(500, "internal_error", "The service failed")
_HIDDEN = "the service failed; its log has the reason under this request_id"
_AWAY = "the {what} does not answer: try again in a moment (nothing was stored)"


def handlers() -> dict[Any, Callable[[Request, Any], Coroutine[Any, Any, Response]]]:
    """The exception handlers of the app: the facts of the table, and whatever Starlette itself refuses."""
    return {**dict.fromkeys(FACTS, _answer_fact), HTTPException: _answer_http, OSError: _answer_system}


async def _answer_system(request: Request, error: OSError) -> Response:
    """A disk that is full is a fact; whatever else the system refuses, nobody foresaw."""
    if error.errno in NO_ROOM:
        return await _answer_fact(request, StorageFull())
    raise error


async def _answer_fact(request: Request, error: Exception) -> Response:
    if storage_is_full(error):
        error = StorageFull()
    fact = next(FACTS[kind] for kind in type(error).__mro__ if kind in FACTS)
    if fact.status >= 500:
        log.warning("refused", code=fact.code, exc_info=error)
    return problem(request.scope, fact, _detail(fact, error), errors=_errors(error), error=error)


async def _answer_http(request: Request, error: HTTPException) -> Response:
    fact = HTTP_FACTS.get(error.status_code, Fact(error.status_code, "http_error", error.detail))
    detail = _HTTP_DETAILS.get(error.status_code, error.detail)
    answer = problem(request.scope, fact, detail.format(path=request.url.path, method=request.method))
    answer.headers.update(error.headers or {})
    return answer


_HTTP_DETAILS: Mapping[int, str] = {
    404: "there is nothing at {path}: /docs lists every route",
    405: "{method} is not for {path}: the Allow header and /docs say what is",
}


def problem(
    scope: Mapping[str, Any],
    fact: Fact,
    detail: str,
    *,
    errors: Sequence[FieldError] = (),
    error: Exception | None = None,
) -> Response:
    """The fact as an answer."""
    code = _code(fact, error)
    body = Problem(
        type=f"urn:chainrule:problem:{code}",
        title=_TITLES.get(code, fact.title),
        status=fact.status,
        detail=detail,
        code=code,
        request_id=scope.get("state", {}).get("request_id", ""),
        errors=list(errors),
        state=_text(getattr(error, "state", None) or getattr(error, "status", None)),
    )
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS[fact.status])} if fact.status in RETRY_AFTER_SECONDS else None
    return Response(
        body.model_dump_json(exclude_none=True), status_code=fact.status, media_type=MEDIA_TYPE, headers=headers
    )


def failed(scope: Mapping[str, Any]) -> Response:
    """The answer to an error that nobody foresaw: it says nothing of the inside."""
    return problem(scope, INTERNAL, _HIDDEN)


def _detail(fact: Fact, error: Exception) -> str:
    if fact.status == 503:
        return _AWAY.format(what="bucket" if isinstance(error, BlobsAway) else "database")
    if fact.status == 500:
        return _HIDDEN
    if isinstance(error, RequestValidationError):
        return _summary(_errors(error))
    return str(error) or fact.title


def _code(fact: Fact, error: Exception | None) -> str:
    return str(getattr(error, "code", None) or fact.code) if fact.status == 422 else fact.code


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _errors(error: Exception) -> list[FieldError]:
    if isinstance(error, RequestValidationError):
        return [FieldError(parameter=str(one["loc"][-1]), message=message(one)) for one in error.errors()]
    if isinstance(error, InvalidSpec):
        return [FieldError(pointer=place, message=text) for place, text in error.errors]
    if isinstance(error, InvalidData | InvalidInstance):
        return [FieldError(pointer=error.pointer, message=error.message)]
    return list(getattr(error, "errors", ()))


def _summary(errors: Sequence[FieldError]) -> str:
    first = errors[0]
    rest = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return f"{first.pointer or first.parameter or 'the body'}: {first.message}{rest}"
