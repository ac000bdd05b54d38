"""The errors that the HTTP layer itself raises.

    RequestError
    ├── InvalidBody, InvalidParameter
    ├── HostNotAllowed, CrossSiteRequest, PreflightRefused
    ├── UnsupportedTusVersion
    ├── UnsupportedMediaType, UnsupportedContentEncoding, NotAcceptable, BodyTooLarge, BodyTooSlow, TooManyBodies
    ├── NoSuchPage
    ├── JobNotTrained
    ├── ServiceBusy, TooMuchWork
    └── StorageFull

`api.http.problem_types` maps each of them, and each error of the core, to a status and a code.
"""

from collections.abc import Sequence
from typing import Self

from pydantic import BaseModel, Field

from core.jobs.errors import MAX_ERRORS

MAX_QUOTED_CHARACTERS = 200
"""Characters of a header or a name that an error message quotes."""
MAX_MESSAGE_CHARACTERS = 2000
"""Characters of a pointer or a message; the longest message lists all layers."""
_SEND_LESS = "send less in one request, or raise"


class FieldError(BaseModel):
    """One invalid place of a request: a pointer into the body or a parameter, and how to correct it."""

    pointer: str | None = Field(default=None, description="A JSON pointer (RFC 6901) into the request body.")
    parameter: str | None = Field(default=None, description="The invalid query, path or header parameter.")
    message: str


class RequestError(Exception):
    """A request that the API refuses, with the invalid places where they are known.

    `errors` are the first `MAX_ERRORS`, `more_errors` is the number of further ones.
    """

    errors: Sequence[FieldError] = ()
    more_errors: int = 0


class InvalidBody(RequestError):
    """The body does not match the schema of the route."""

    def __init__(self, errors: Sequence[tuple[str, str]], code: str = "invalid_body") -> None:
        self.errors = [body_error(pointer, message) for pointer, message in errors[:MAX_ERRORS]]
        self.more_errors = len(errors) - len(self.errors)
        self.code = code
        super().__init__(summarize(self.errors, self.more_errors))


class InvalidParameter(RequestError):
    """A parameter does not match the schema of the route."""

    def __init__(self, parameter: str, message: str) -> None:
        self.errors = [parameter_error(parameter, message)]
        super().__init__(summarize(self.errors))


class HostNotAllowed(RequestError):
    """The Host header names a host that this service does not answer for."""

    def __init__(self, host: str) -> None:
        received = shortened(host) if host else "no Host header"
        super().__init__(
            f"this service does not answer for {received}: use localhost or 127.0.0.1, "
            "or add the host's name to CHAINRULE_ALLOWED_HOSTS"
        )


class CrossSiteRequest(RequestError):
    """A page of another origin asks for a change."""

    def __init__(self, origin: str | None) -> None:
        page = f"a page of {shortened(origin)}" if origin else "a page of another site"
        super().__init__(
            f"{page} may not change anything here: add its origin to CHAINRULE_CORS_ORIGINS, "
            "or, if it is this service behind a proxy, let the proxy pass on the Host header with its port"
        )


class PreflightRefused(RequestError):
    """A page of an allowed origin asks for a method or a header that no route has."""

    def __init__(self, methods: Sequence[str], headers: Sequence[str]) -> None:
        super().__init__(
            f"pages of other origins may use the methods {', '.join(methods)} and the headers {', '.join(headers)}: "
            "leave out all others"
        )


class UnsupportedMediaType(RequestError):
    """The route does not read bodies of this media type."""

    def __init__(self, media_type: str, supported: Sequence[str]) -> None:
        received = shortened(media_type) or "no Content-Type"
        super().__init__(f"this route reads {', '.join(supported)}, but got {received}: set the Content-Type header")


class UnsupportedContentEncoding(RequestError):
    """The service does not read bodies of this content encoding."""

    def __init__(self, coding: str, supported: Sequence[str]) -> None:
        super().__init__(
            f"bodies may be sent as {' or '.join(supported)}, one of them at a time, but this one is "
            f"{shortened(coding)}: send it so, or as it is"
        )


class NotAcceptable(RequestError):
    """The route cannot answer in a media type that the client accepts."""

    def __init__(self, accept: str, offered: Sequence[str]) -> None:
        super().__init__(f"this route answers in {', '.join(offered)}, but Accept is {shortened(accept)}: name one")


class UnsupportedTusVersion(RequestError):
    """The client speaks another version of the protocol of resumable uploads."""

    def __init__(self, version: str, supported: str) -> None:
        super().__init__(
            f"the header Tus-Resumable has the version {shortened(version)}, and this service has {supported}: "
            f"send Tus-Resumable: {supported}"
        )


class BodyTooLarge(RequestError):
    """The body exceeds the size limit."""

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"the body exceeds {limit:,} bytes: send less, or raise CHAINRULE_MAX_BODY_BYTES "
            "(for uploads CHAINRULE_MAX_UPLOAD_BYTES)"
        )


class BodyTooSlow(RequestError):
    """The body did not arrive in time."""

    def __init__(self, seconds: float, rate: int) -> None:
        super().__init__(
            f"the body paused for {seconds:g} s, or was slower than {rate:,} bytes a second for longer: send it "
            "faster, or raise CHAINRULE_CLIENT_SECONDS"
        )


class TooManyBodies(RequestError):
    """The bodies that other clients send leave no room for this one."""

    def __init__(self, size: int) -> None:
        super().__init__(
            f"the bodies in progress leave no room for {size:,} bytes: send this one again in a moment, "
            "or raise CHAINRULE_MAX_BODIES_BYTES (for uploads CHAINRULE_MAX_UPLOADS_BYTES)"
        )


class NoSuchPage(RequestError):
    """Nothing is served at this path."""


class JobNotTrained(RequestError):
    """The job has no weights to predict with."""

    def __init__(self, job_id: str, status: str) -> None:
        self.state = status
        super().__init__(f"{job_id} is {status} and has no checkpoint: try again after its first epoch")


class ServiceBusy(RequestError):
    """Too many heavy requests are in progress."""

    def __init__(self) -> None:
        super().__init__("too many heavy requests are in progress: send this one again in a moment")


class TooMuchWork(RequestError):
    """The request takes more time or memory than one request may, or its answer is too large."""

    @classmethod
    def time(cls, seconds: float) -> Self:
        """Return the error of a request that computes for too long."""
        return cls(f"the request takes longer than {seconds:g} s: {_SEND_LESS} CHAINRULE_COMPUTE_SECONDS")

    @classmethod
    def memory(cls) -> Self:
        """Return the error of a request that needs too much memory."""
        return cls(f"the request takes more memory than is allowed: {_SEND_LESS} CHAINRULE_COMPUTE_MEMORY_BYTES")

    @classmethod
    def answer(cls, limit: int) -> Self:
        """Return the error of a request with a too large answer."""
        return cls(f"the answer would exceed {limit:,} bytes: {_SEND_LESS} CHAINRULE_MAX_ANSWER_BYTES")

    @classmethod
    def crash(cls, how: str) -> Self:
        """Return the error of a request whose process was killed, for lack of memory in most cases."""
        return cls(f"the process that worked on the request ended ({how}): {_SEND_LESS} CHAINRULE_COMPUTE_MEMORY_BYTES")


class StorageFull(RequestError):
    """The disk is full; nothing of the request was stored."""

    def __init__(self) -> None:
        super().__init__(
            "the service's disk is full, and nothing of this request was stored: make room on it and send it again"
        )


def body_error(pointer: str, message: str) -> FieldError:
    """Return the error at a place of the body, both texts shortened where a client made them long."""
    return FieldError(
        pointer=shortened(pointer, MAX_MESSAGE_CHARACTERS), message=shortened(message, MAX_MESSAGE_CHARACTERS)
    )


def parameter_error(parameter: str, message: str) -> FieldError:
    """Return the error of a parameter, both texts shortened where a client made them long."""
    return FieldError(parameter=shortened(parameter), message=shortened(message, MAX_MESSAGE_CHARACTERS))


def shortened(text: str, length: int = MAX_QUOTED_CHARACTERS) -> str:
    """Return a text of at most `length` characters, with an ellipsis where it was longer."""
    return text if len(text) <= length else f"{text[:length]}…"


def summarize(errors: Sequence[FieldError], more: int = 0) -> str:
    """Return the first error and the number of further errors in one line; `more` are those not among `errors`."""
    first, further = errors[0], len(errors) - 1 + more
    rest = f" (and {further} more)" if further else ""
    return f"{first.pointer or first.parameter or 'the body'}: {first.message}{rest}"
