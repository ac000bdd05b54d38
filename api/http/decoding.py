"""Compressed request bodies (Content-Encoding): gzip and zstd, decoded a bounded piece at a time.

The limits of `api.http.limits` apply to the decoded bytes, so a small body that would become a huge one is cut off.
"""

import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Protocol

from starlette.types import Scope

from api.http.errors import InvalidBody, UnsupportedContentEncoding

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PIECE_BYTES = 2**18
"""Decoded bytes at a time; they take about a millisecond."""
ZSTD_WINDOW_LOG = 23
"""The window of 8 MB that RFC 9659 allows for this content encoding; a larger one would take more memory."""
GZIP_WINDOW_BITS = 31


class Decompressor(Protocol):
    """One compressed stream; several may follow each other in a body."""

    @property
    def eof(self) -> bool:
        """Whether the stream has ended."""
        ...

    @property
    def unused_data(self) -> bytes:
        """The input after the end of the stream."""
        ...

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Return up to `max_length` further bytes, and keep the input that is left."""
        ...


class Gzip:
    """A gzip stream."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(GZIP_WINDOW_BITS)
        self._rest = b""

    @property
    def eof(self) -> bool:
        """Whether the stream has ended."""
        return self._stream.eof

    @property
    def unused_data(self) -> bytes:
        """The input after the end of the stream."""
        return self._stream.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Return up to `max_length` further bytes, and keep the input that is left."""
        piece = self._stream.decompress(self._rest + data, max_length)
        self._rest = self._stream.unconsumed_tail
        return piece


def _zstd() -> Decompressor:
    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: ZSTD_WINDOW_LOG})


DECOMPRESSORS: Mapping[str, Callable[[], Decompressor]] = MappingProxyType(
    {"gzip": Gzip, "x-gzip": Gzip, "zstd": _zstd}
)
CODINGS = ("gzip", "zstd")
"""The content encodings by their usual names."""


class Decoder:
    """The decoding of one body."""

    def __init__(self, coding: str) -> None:
        self._coding = coding
        self._stream: Decompressor | None = None

    def decode(self, data: bytes) -> Iterator[bytes]:
        """Yield what these bytes decode to, up to `PIECE_BYTES` at a time.

        Raise `UnsupportedContentEncoding` or `InvalidBody`.
        """
        full = False
        while data or full:
            if self._stream is None:
                self._stream = self._new_stream()
            try:
                piece = self._stream.decompress(data, PIECE_BYTES)
            except (zlib.error, zstd.ZstdError) as error:
                raise InvalidBody([("", f"is not {self._coding}, as its Content-Encoding says: {error}")]) from None
            data, full = b"", len(piece) == PIECE_BYTES
            if self._stream.eof:
                data, full, self._stream = self._stream.unused_data, False, None
            if piece:
                yield piece

    def finish(self) -> None:
        """Raise `InvalidBody` if the last stream has not ended."""
        if self._stream is not None:
            raise InvalidBody([("", f"ends in the middle of its {self._coding} stream: send all of it")])

    def _new_stream(self) -> Decompressor:
        if self._coding not in DECOMPRESSORS:
            raise UnsupportedContentEncoding(self._coding, CODINGS)
        return DECOMPRESSORS[self._coding]()


def decoder_of(scope: Scope) -> Decoder | None:
    """Return the decoder of a request's body; None if it is sent as it is."""
    codings = [value.decode("latin-1") for name, value in scope["headers"] if name == b"content-encoding"]
    coding = ", ".join(codings).strip().lower()
    return None if coding in {"", "identity"} else Decoder(coding)
