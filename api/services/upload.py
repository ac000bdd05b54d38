"""Uploads: streamed to disk and hashed meanwhile, from a raw body or from a multipart form.

Names that a client sends are labels only; none of them becomes a path.
"""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from email.message import Message
from email.utils import collapse_rfc2231_value
from typing import Any

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser

from api.http.body import discard, media_type
from api.http.errors import InvalidBody, InvalidParameter, shortened
from api.http.json_values import repeated_names
from api.http.limits import BODY, IncomingBody
from core.blobs.writer import BlobWriter
from core.data.readers import OPTIONS

CHUNK_BYTES = 2**18
"""Bytes per call into the thread pool, which is too slow for each 64 KiB of the network; held by each upload."""
MAX_FIELD_BYTES = 2**16
TYPES = ("number", "category", "text", "datetime")
FIELDS = frozenset({"name", "format", "types", *OPTIONS})
MAX_OPTION_LENGTH = 64
MAX_LIST_LENGTH = 2**14  # of options that may be lists, as the types of columns
LISTS = ("header", "missing")
MAX_NAME_LENGTH = 200
MAX_TYPES_LENGTH = 2**14  # as a query parameter; the whole query may have twice as many bytes
HEAD_BYTES = 4096  # kept to detect the format


@dataclass
class Upload:
    """The metadata of an uploaded file; its bytes are in the writer."""

    fields: dict[str, str] = field(default_factory=dict)
    file_name: str | None = None
    content_type: str | None = None
    head: bytes = b""

    @property
    def name(self) -> str | None:
        """The field `name`, else the last component of the file name. Raises `InvalidParameter`."""
        given = self.fields.get("name") or (self.file_name or "").replace("\\", "/").rpartition("/")[2]
        if len(given) > MAX_NAME_LENGTH or not given.isprintable():
            raise InvalidParameter(
                "name", f"must be printable and have at most {MAX_NAME_LENGTH} characters: shorten it"
            )
        return given or None

    @property
    def options(self) -> dict[str, str]:
        """The options of the reader. Raises `InvalidParameter`."""
        found = {name: self.fields[name] for name in OPTIONS if self.fields.get(name)}
        for name, text in found.items():
            most = MAX_LIST_LENGTH if name in LISTS else MAX_OPTION_LENGTH
            if len(text) > most:
                raise InvalidParameter(name, f"must have at most {most:,} characters")
        return found

    @property
    def types(self) -> dict[str, Any] | None:
        """The column types that override the inferred ones. Raises `InvalidParameter`."""
        text = self.fields.get("types")
        if not text:
            return None
        try:
            types, repeated = json.loads(text), repeated_names(text.encode())
        except (ValueError, RecursionError):
            types, repeated = None, []
        if not isinstance(types, dict) or not all(kind in TYPES for kind in types.values()):
            raise InvalidParameter(
                "types", 'must be JSON such as {"zip": "category"}, with the types number, category, text or datetime'
            )
        if repeated:
            raise InvalidParameter("types", f"{repeated[0][0]} {repeated[0][1]}")
        return types


async def receive(request: Request, writer: BlobWriter) -> Upload:
    """Stream the file of this request into the writer. Fields are query parameters (raw body) or parts (form).

    A raw body may have any media type or none, which only helps to find its format. A page of another site could send
    a form or a body without a type, so no type would protect an upload: `api.http.origins` does.
    """
    if media_type(request) == "multipart/form-data":
        for name in request.query_params:
            await discard(request)
            raise InvalidParameter(name, "is a part of the form: send it there")
        return await _receive_form(request, writer)
    upload = Upload(fields=dict(request.query_params), content_type=media_type(request))
    if len(upload.fields.get("types", "")) > MAX_TYPES_LENGTH:
        await discard(request)
        raise InvalidParameter("types", f"must have at most {MAX_TYPES_LENGTH:,} characters: send it as part of a form")
    incoming: IncomingBody = request.scope[BODY]
    async for chunk in chunks(request):
        upload.head += chunk[: HEAD_BYTES - len(upload.head)]
        await incoming.write(writer.write, chunk)
    return upload


async def _receive_form(request: Request, writer: BlobWriter) -> Upload:
    upload = Upload()
    form = FormReceiver(upload, writer)
    incoming: IncomingBody = request.scope[BODY]
    try:
        parser = MultipartParser(_boundary(request), form.callbacks())
        async for chunk in chunks(request):
            await incoming.write(parser.write, chunk)
    except FormParserError:
        raise InvalidBody([("", _INCOMPLETE_FORM)]) from None
    if not form.complete:
        raise InvalidBody([("", _INCOMPLETE_FORM)])
    if not form.has_file:
        raise InvalidBody([("/file", 'is required: add the data as a part named "file"')])
    return upload


_INCOMPLETE_FORM = "is not complete multipart/form-data: send it as curl -F does"


async def chunks(request: Request) -> AsyncIterator[bytes]:
    """Yield the body in chunks of about `CHUNK_BYTES`."""
    buffer = bytearray()
    async for piece in request.stream():
        buffer += piece
        if len(buffer) >= CHUNK_BYTES:
            yield bytes(buffer)
            buffer.clear()
    if buffer:
        yield bytes(buffer)


def _boundary(request: Request) -> bytes:
    boundary = header_parameters(request.headers["content-type"]).get("boundary")
    if not boundary:
        raise InvalidBody([("", "has no boundary in its Content-Type: let the client set that header")])
    return boundary.encode("latin-1", "replace")


def header_parameters(value: str) -> dict[str, str]:
    """Return the parameters of a header's value by their names in lower case. Raise `InvalidBody`.

    An extended one, such as `filename*=utf-8''na%C3%AFve.csv` (RFC 2231, RFC 5987), wins over the plain one.
    """
    header = Message()
    header["Content-Disposition"] = value
    try:
        # An extended parameter is a tuple of charset, language and text.
        pairs: list[tuple[str, Any]] = header.get_params([], "content-disposition")[1:]
        pairs.sort(key=lambda pair: isinstance(pair[1], tuple))
        return {name.lower(): collapse_rfc2231_value(text) for name, text in pairs}
    except (LookupError, TypeError, ValueError):  # the library's errors for parts and charsets that do not fit
        raise InvalidBody([("", f"has a header with invalid parameters: {shortened(value)}")]) from None


class FormReceiver:
    """The callbacks of a streaming multipart parser: writes the part `file` to the writer, keeps the other fields."""

    def __init__(self, upload: Upload, writer: BlobWriter) -> None:
        self.upload = upload
        self.writer = writer
        self.has_file = False
        self.complete = False
        self._header_name = b""
        self._header_value = b""
        self._disposition: Mapping[str, str] = {}
        self._content_type = ""
        self._value = bytearray()

    def callbacks(self) -> Any:
        """Return the callbacks by the parser's names."""
        return {
            "on_part_begin": self._begin_part,
            "on_header_field": self._add_to_header_name,
            "on_header_value": self._add_to_header_value,
            "on_header_end": self._end_header,
            "on_headers_finished": self._end_headers,
            "on_part_data": self._add_data,
            "on_part_end": self._end_part,
            "on_end": self._end_form,
        }

    @property
    def _name(self) -> str:
        return self._disposition.get("name", "")

    def _begin_part(self) -> None:
        self._disposition, self._content_type = {}, ""
        self._value.clear()

    def _add_to_header_name(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _add_to_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _end_header(self) -> None:
        name, value = self._header_name.lower(), self._header_value.decode("utf-8", "replace")
        self._header_name = self._header_value = b""
        if name == b"content-disposition":
            self._disposition = header_parameters(value)
        elif name == b"content-type":
            self._content_type = value.partition(";")[0].strip().lower()

    def _end_headers(self) -> None:
        if self._name == "file":
            if self.has_file:
                raise InvalidBody([("/file", "is sent twice: send one file per request")])
            self.has_file = True
            self.upload.file_name = self._disposition.get("filename")
            self.upload.content_type = self._content_type or None
        elif self._name not in FIELDS:
            raise InvalidBody(
                [(f"/{self._name}", f"is not a field of this form: send file, {', '.join(sorted(FIELDS))}")]
            )

    def _add_data(self, data: bytes, start: int, end: int) -> None:
        if self._name == "file":
            self.upload.head += data[start : start + min(HEAD_BYTES - len(self.upload.head), end - start)]
            self.writer.write(data[start:end])
            return
        self._value += data[start:end]
        if len(self._value) > MAX_FIELD_BYTES:
            raise InvalidBody([(f"/{self._name}", f"must have at most {MAX_FIELD_BYTES:,} bytes: shorten it")])

    def _end_form(self) -> None:
        self.complete = True

    def _end_part(self) -> None:
        if self._name == "file":
            return
        try:
            self.upload.fields[self._name] = self._value.decode()
        except UnicodeDecodeError:
            raise InvalidBody([(f"/{self._name}", "must be UTF-8")]) from None
