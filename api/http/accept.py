"""Content negotiation (RFC 9110, sections 12.5.1 and 12.5.3): which media types and codings a client accepts."""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from api.http.errors import NotAcceptable

ALIASES: Mapping[str, str] = MappingProxyType({"application/x-ndjson": "application/jsonl"})
"""Other names of media types."""
MAX_RANGES = 100


def negotiate(accept: str, offered: Sequence[str]) -> str:
    """Return the offered media type that an Accept header prefers; the first one of equals.

    Raise `NotAcceptable` if it accepts none.
    """
    if not accept.strip():
        return offered[0]
    ranges = list(_ranges(accept))
    quality, _, chosen = max((_quality(kind, ranges), -index, kind) for index, kind in enumerate(offered))
    if quality <= 0:
        raise NotAcceptable(accept, offered)
    return chosen


def accepts_coding(accept_encoding: str, coding: str) -> bool:
    """Return whether an Accept-Encoding header names a coding, itself or by `*`, with a quality above 0."""
    qualities = dict(_ranges(accept_encoding))
    return qualities.get(coding, qualities.get("*", 0.0)) > 0


def _ranges(accept: str) -> Iterator[tuple[str, float]]:
    """Yield each range of the header in lower case, with its quality. Parameters of types do not matter."""
    for item in accept.split(",")[:MAX_RANGES]:
        kind, *parameters = (part.strip().lower() for part in item.split(";"))
        weights = [text[2:] for text in parameters if text.startswith("q=")]
        if kind:
            yield ALIASES.get(kind, kind), _weight(weights[0]) if weights else 1.0


def _weight(text: str) -> float:
    try:
        return min(1.0, max(0.0, float(text)))
    except ValueError:
        return 1.0


def _quality(kind: str, ranges: Sequence[tuple[str, float]]) -> float:
    """Return the quality of a media type: that of the most specific range."""
    for pattern in (kind, f"{kind.partition('/')[0]}/*", "*/*"):
        if found := [quality for name, quality in ranges if name == pattern]:
            return max(found)
    return 0.0
