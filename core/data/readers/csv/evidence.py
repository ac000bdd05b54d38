"""Decides how a file of text is read, by its first and last bytes; each decision has its reason."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from core.data.cells import COMMA, POINT, NumberForm, quote
from core.data.errors import InvalidFile
from core.data.readers.cell_table import column_names
from core.data.readers.csv.delimiters import comment_of, delimiter_of, quote_of
from core.data.readers.csv.edges import Begin, End, begin_of, end_of
from core.data.readers.csv.header import header_of
from core.data.readers.csv.layout import BLANKS, Layout, ReadAs
from core.data.readers.csv.records import Record, lines_of, masked, records_of, usual_width
from core.data.readers.csv.sample import FALLBACK, Sample, Texts, decoded
from core.data.readers.csv.signs import decimal_of
from core.data.schema import Limits
from core.warnings import WarningMessage

SAID = "said with the upload"
NOT_UTF8 = f"the file is not in UTF-8, and was read as {FALLBACK}: say encoding=, such as iso-8859-2, if not"
"""The warning about an encoding that is taken since the file is not in UTF-8."""
SIGN_CELLS = 20_000
"""Cells that are looked through for signs of numbers."""
INDEX = "index"
"""The name of a first column of names of rows, which programs write without a name."""


@dataclass
class Evidence:
    """How a file is read."""

    layout: Layout
    names: list[str] = field(default_factory=list)
    form: NumberForm = POINT
    names_rows: bool = False
    """Whether the first column only names the rows."""
    certain_encoding: bool = True
    read_as: dict[str, ReadAs] = field(default_factory=dict)
    warnings: list[WarningMessage] = field(default_factory=list)

    def note(self, option: str, read_as: ReadAs, doubt: str | None = None) -> Any:
        """Keep what an option is read as, with a warning where it is doubtful; return its value."""
        self.read_as[option] = read_as
        if doubt:
            self.warnings.append(WarningMessage("assumed", f"/read_as/{option}", doubt))
        return read_as.value


def evidence_of(sample: Sample, said: Mapping[str, Any], limits: Limits) -> Evidence:
    """Return how a file is read: options that a client says, and the others by the sample. Raises `InvalidFile`."""
    texts = decoded(sample, said.get("encoding"))
    found = Evidence(Layout(delimiter=","), certain_encoding=texts.certain)
    doubtful = texts.encoding.value == FALLBACK and "encoding" not in said
    encoding = found.note("encoding", texts.encoding, NOT_UTF8 if doubtful else None)
    lines = lines_of(texts.head)
    if not any(line.strip() for line in lines):
        raise InvalidFile("the file is empty: it needs a row of names and rows of values")
    skipped = said.get("skip_rows")
    above = lines[: skipped or 0]
    lines = lines[skipped or 0 :]
    layout = replace(_cells(found, "".join(lines), said), encoding=encoding)
    records = records_of(lines, layout)
    if not records:
        raise InvalidFile("the first row is not closed, or there is none: close its quotes, or say another quote")
    end_records = records_of(lines_of(texts.tail), layout) if texts.tail else records
    width = usual_width(records)
    begin = Begin(0) if skipped is not None else begin_of(records, width)
    width = len(records[begin.first].cells) + begin.names_rows
    if width > limits.columns:
        raise InvalidFile(f"the table has {width} columns, more than {limits.columns}: remove some")
    first, body = records[begin.first], records[begin.first + 1 :]
    header = _header(found, first, body, begin, width, said)
    skipped_lines = len(above) + first.lines[0]
    _skip_rows(found, skipped_lines, begin, lines, said)
    rows = body if header else records[begin.first :]
    end = end_of(end_records if texts.tail else rows, width)
    _end(found, end)
    _signs(found, rows, layout.delimiter, said)
    begins = first.lines[-1] + 1 if header else first.lines[0]
    found.layout = _placed(layout, sample, texts, above, lines, begins, end_records, end, header)
    return found


def _cells(found: Evidence, text: str, said: Mapping[str, Any]) -> Layout:
    """Return the layout of cells: quote, delimiter and comment."""
    guessed, escape = quote_of(text)
    mark = found.note("quote", ReadAs(said["quote"], SAID) if "quote" in said else guessed)
    if mark != guessed.value:
        escape = mark
    lines = lines_of(masked(text, mark, escape))
    rows = [line for line in lines if line.strip() and not line.lstrip().startswith(said.get("comment") or "#")]
    delimiter, unclear = delimiter_of(rows or lines)
    doubt = "another delimiter gives as many cells in each row: say delimiter= if it is not this one"
    if "delimiter" in said:
        delimiter, unclear = ReadAs(said["delimiter"], SAID), False
    found.note("delimiter", delimiter, doubt if unclear else None)
    comment = ReadAs(said["comment"], SAID) if "comment" in said else comment_of(lines, delimiter.value)
    found.note("comment", comment)
    return Layout(
        delimiter=delimiter.value,
        quote=mark,
        escape=escape,
        comment=comment.value,
        line_ends=len({line[len(line.rstrip("\r\n")) :] for line in lines} - {""}) > 1
        or any(line.endswith("\r") for line in lines[:2]),
    )


def _header(
    found: Evidence, first: Record, body: Sequence[Record], begin: Begin, width: int, said: Mapping[str, Any]
) -> bool:
    """Set the names of the columns; return whether the first record has them."""
    wanted = said.get("header")
    read_as, certain = header_of(first.cells, [record.cells for record in body])
    if begin.names_rows:
        read_as, certain = ReadAs(True, "it has one word less than the rows have cells"), True
    if wanted is not None:
        read_as, certain = ReadAs(list(wanted) if isinstance(wanted, tuple) else wanted, SAID), True
    doubt = None
    if not certain:
        reading = "was read as the names of the columns" if read_as.value else "was read as values"
        doubt = f"the first row {reading}, since {read_as.reason}: say header={'no' if read_as.value else 'yes'} if not"
    value = found.note("header", read_as, doubt)
    if isinstance(value, list):
        if len(value) != width:
            raise InvalidFile(f"header has {len(value)} names and the rows have {width} cells: name every column")
        found.names = column_names(list(value))
        return False
    if not value:
        found.names = [str(place) for place in range(width)]
        return False
    cells = [cell.strip() for cell in first.cells]
    cells[0] = cells[0].lstrip("# ") if cells[0].startswith("#") and "comment" not in said else cells[0]
    if begin.names_rows:
        cells.insert(0, "")
    if width > 1 and not cells[0] and all(cells[1:]):
        cells[0] = INDEX if INDEX not in cells else f"{INDEX}_0"
        found.names_rows = True
        message = f"the first column has no name, as programs write names of rows: it is called {quote(cells[0])}"
        remedy = "and is no feature unless a spec names it; say header= with all names if it is one"
        found.warnings.append(WarningMessage("index_column", "/columns/0", f"{message} {remedy}"))
    found.names = column_names(cells)
    return True


def _skip_rows(found: Evidence, count: int, begin: Begin, lines: Sequence[str], said: Mapping[str, Any]) -> None:
    if "skip_rows" in said:
        found.note("skip_rows", ReadAs(said["skip_rows"], SAID))
        return
    if not begin.first:
        found.note("skip_rows", ReadAs(count, "the table begins with the first line that is not empty"))
        return
    shown = next(line.strip() for line in lines if line.strip())
    doubt = f"{_lines(count)} left out above the table, the first {quote(shown)}: say skip_rows=0 if not"
    found.note("skip_rows", ReadAs(count, "the first lines have other cells than the table"), doubt)


def _lines(count: int) -> str:
    return "1 line was" if count == 1 else f"{count} lines were"


def _end(found: Evidence, end: End) -> None:
    if end.footer:
        message = f"{_lines(end.footer)} left out below the table: remove them, or complete them if they are rows"
        found.warnings.append(WarningMessage("footer", "/rows", message))
    if end.lacking:
        message = f"the last row is short: {end.lacking} of its cells were read as missing; the file may be cut"
        found.warnings.append(WarningMessage("short_last_row", "/rows", message))


def _signs(found: Evidence, rows: Sequence[Record], delimiter: str, said: Mapping[str, Any]) -> None:
    cells = islice((cell.strip() for row in rows for cell in row.cells), SIGN_CELLS)
    decimal, thousands, unclear = decimal_of(cells, delimiter)
    if "decimal" in said:
        decimal, unclear = ReadAs(said["decimal"], SAID), None
        thousands = thousands if thousands.value != decimal.value else ReadAs("", "no cell has one")
    if "thousands" in said:
        thousands, unclear = ReadAs(said["thousands"], SAID), None
    doubt = None
    if unclear:
        value = unclear.replace("," if decimal.value == "." else ".", "").replace(",", ".")
        doubt = f"{quote(unclear)} was read as {value}: say decimal={'.' if decimal.value == ',' else ','} if not"
    found.note("decimal", decimal, doubt)
    found.note("thousands", thousands)
    usual = POINT if decimal.value == "." else COMMA
    found.form = NumberForm(decimal.value, thousands.value or usual.thousands)


def _placed(
    layout: Layout,
    sample: Sample,
    texts: Texts,
    above: Sequence[str],
    lines: Sequence[str],
    begins: int,
    end_records: Sequence[Record],
    end: End,
    header: bool,
) -> Layout:
    """Return the layout with the place of the rows in the file."""

    def size(text: str) -> int:
        return len(text.encode(layout.encoding))

    start = sample.mark + size("".join([*above, *lines[:begins]]))
    end_at, suffix = None, ""
    if end.footer:
        last = end_records[len(end_records) - end.footer - 1].lines[-1] + 1
        end_at = sample.size - size("".join((lines_of(texts.tail) if texts.tail else lines)[last:]))
    if end.lacking:
        mark = "\t" if layout.delimiter == BLANKS else layout.delimiter
        end_at, suffix = sample.size - len(_line_end(texts, layout)), mark * end.lacking + "\n"
    plain = (
        layout.encoding == "utf-8"
        and not (sample.compressed or layout.line_ends or layout.comment or suffix or end_at)
        and layout.delimiter != BLANKS
        and len(above) + begins == int(header)
    )
    return replace(
        layout, start=start, end=end_at, suffix=suffix, plain=plain, header_lines=int(header) if plain else 0
    )


def _line_end(texts: Texts, layout: Layout) -> bytes:
    text = texts.tail or texts.head
    return text[len(text.rstrip()) :].encode(layout.encoding)
