"""A file on its way in: streamed to disk and hashed while it comes, whether raw or as a part of a form.

The names that a client gives are labels; none of them becomes a path.
"""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from email.message import Message
from typing import Any

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser
from starlette.concurrency import run_in_threadpool

from api.http.body import media_type
from api.http.problems import InvalidBody, InvalidParameter
from core.blobs.folder import Writer

CHUNK = 2**20  # bytes a hop into the thread pool: disks and hops are slow, so not for each 64 KiB of the network
FIELD_BYTES = 2**16
FIELDS = frozenset({"name", "format", "types"})
NAME_LENGTH = 200
HEAD_BYTES = 4096


@dataclass
class Upload:
    """What came with a file; the bytes themselves are in the writer."""

    fields: dict[str, str] = field(default_factory=dict)
    file_name: str | None = None
    content_type: str | None = None
    head: bytes = b""

    @property
    def name(self) -> str | None:
        """What the client calls it: the field, else the last part of the file's name."""
        given = self.fields.get("name") or (self.file_name or "").replace("\\", "/").rpartition("/")[2]
        if len(given) > NAME_LENGTH or not given.isprintable():
            raise InvalidParameter("name", f"must be printable and have at most {NAME_LENGTH} characters: shorten it")
        return given or None

    @property
    def types(self) -> dict[str, Any] | None:
        """The types that the client sets instead of guessed ones, by column."""
        text = self.fields.get("types")
        if not text:
            return None
        try:
            types = json.loads(text)
        except (ValueError, RecursionError):
            types = None
        if not isinstance(types, dict) or not all(kind in {"number", "category", "text"} for kind in types.values()):
            raise InvalidParameter("types", 'must be JSON such as {"zip": "category"}: number, category or text')
        return types


async def receive(request: Request, writer: Writer) -> Upload:
    """Stream this request's file into the writer. The raw body's fields are query parameters, a form's its parts."""
    if media_type(request) == "multipart/form-data":
        return await _receive_form(request, writer)
    upload = Upload(fields=dict(request.query_params), content_type=media_type(request))
    async for chunk in chunks(request):
        upload.head += chunk[: HEAD_BYTES - len(upload.head)]
        await run_in_threadpool(writer.write, chunk)
    return upload


async def _receive_form(request: Request, writer: Writer) -> Upload:
    upload = Upload()
    parts = Parts(upload, writer)
    try:
        parser = MultipartParser(_boundary(request), parts.callbacks())
        async for chunk in chunks(request):
            await run_in_threadpool(parser.write, chunk)
    except FormParserError:
        raise InvalidBody([("", _NO_FORM)]) from None
    if not parts.complete:
        raise InvalidBody([("", _NO_FORM)])
    if not parts.has_file:
        raise InvalidBody([("/file", 'is required: add the data as the part named "file"')])
    return upload


_NO_FORM = "is no complete multipart/form-data: send it as curl -F does"


async def chunks(request: Request) -> AsyncIterator[bytes]:
    """The body in pieces of about `CHUNK` bytes."""
    held = bytearray()
    async for piece in request.stream():
        held += piece
        if len(held) >= CHUNK:
            yield bytes(held)
            held.clear()
    if held:
        yield bytes(held)


def _boundary(request: Request) -> bytes:
    header = Message()
    header["Content-Type"] = request.headers["content-type"]
    boundary = header.get_param("boundary")
    if not isinstance(boundary, str) or not boundary:
        raise InvalidBody([("", "has no boundary in its Content-Type: let the client set that header")])
    return boundary.encode("latin-1", "replace")


class Parts:
    """Takes a form apart while it comes: the part named `file` goes to the writer, the few others are kept."""

    def __init__(self, upload: Upload, writer: Writer) -> None:
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
        """What the parser calls."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._take_header_name,
            "on_header_value": self._take_header_value,
            "on_header_end": self._end_header,
            "on_headers_finished": self._start,
            "on_part_data": self._take,
            "on_part_end": self._end,
            "on_end": self._complete,
        }

    @property
    def _name(self) -> str:
        return self._disposition.get("name", "")

    def _begin(self) -> None:
        self._disposition, self._content_type = {}, ""
        self._value.clear()

    def _take_header_name(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _take_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _end_header(self) -> None:
        name, value = self._header_name.lower(), self._header_value.decode("utf-8", "replace")
        self._header_name = self._header_value = b""
        if name == b"content-disposition":
            header = Message()
            header["Content-Disposition"] = value
            pairs = header.get_params(header="content-disposition") or []
            self._disposition = {key.lower(): text for key, text in pairs[1:]}
        elif name == b"content-type":
            self._content_type = value.partition(";")[0].strip().lower()

    def _start(self) -> None:
        if self._name == "file":
            if self.has_file:
                raise InvalidBody([("/file", "came twice: send one file a request")])
            self.has_file = True
            self.upload.file_name = self._disposition.get("filename")
            self.upload.content_type = self._content_type or None
        elif self._name not in FIELDS:
            raise InvalidBody([(f"/{self._name}", f"is no part of this form: send file, {', '.join(sorted(FIELDS))}")])

    def _take(self, data: bytes, start: int, end: int) -> None:
        if self._name == "file":
            self.upload.head += data[start : start + min(HEAD_BYTES - len(self.upload.head), end - start)]
            self.writer.write(data[start:end])
            return
        self._value += data[start:end]
        if len(self._value) > FIELD_BYTES:
            raise InvalidBody([(f"/{self._name}", f"must have at most {FIELD_BYTES:,} bytes: shorten it")])

    def _complete(self) -> None:
        self.complete = True

    def _end(self) -> None:
        if self._name == "file":
            return
        try:
            self.upload.fields[self._name] = self._value.decode()
        except UnicodeDecodeError:
            raise InvalidBody([(f"/{self._name}", "must be UTF-8")]) from None
