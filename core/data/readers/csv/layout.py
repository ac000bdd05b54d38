"""The layout of a file of text: everything that is said to DuckDB, and where in the file the table stands."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, Self

BLANKS = " "
"""The delimiter of cells that are separated by any number of blanks or tabs."""


class ReadAs(NamedTuple):
    """The value of an option, and why it is so."""

    value: Any
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How the bytes of a file become rows of texts. Offsets are in the decompressed file, in bytes."""

    delimiter: str
    quote: str = '"'
    escape: str = '"'
    """What stands before a quote inside quotes."""
    encoding: str = "utf-8"
    comment: str = ""
    start: int = 0
    """Where the first row begins."""
    end: int | None = None
    """Where the rows end; None: with the file."""
    suffix: str = ""
    """What completes the last row."""
    line_ends: bool = False
    """Whether line ends are mixed, so that they are made equal."""
    header_lines: int = 0
    """Of a plain file: the lines that DuckDB skips instead of `start`."""
    plain: bool = False
    """Whether DuckDB can read the file itself."""

    @classmethod
    def from_json(cls, json: Mapping[str, Any]) -> Self:
        """Return the layout that `asdict` wrote."""
        return cls(**json)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return asdict(self)
