"""Reader of files of text with rows of cells: CSV and its relatives, plain or compressed by gzip or zstd.

What a client does not say is decided by the first and last bytes of the file, then DuckDB reads with everything said.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, ClassVar, Self

from numpy.typing import NDArray

from core.data.cells import MISSING, NumberForm
from core.data.date_forms import DateForm
from core.data.readers.csv.evidence import NOT_UTF8, SAID, Evidence, evidence_of
from core.data.readers.csv.layout import Layout, ReadAs
from core.data.readers.csv.sample import FALLBACK, sample_of
from core.data.readers.csv.stream import Source, check_text, is_compressed
from core.data.readers.csv.table import CsvTable, MixedLineEnds, NotUtf8
from core.data.readers.tables.infer import infer_columns
from core.data.readers.tables.load import load_columns, page_of
from core.data.readers.tables.rules import CellRules
from core.data.schema import Column, ColumnType, Limits, Schema
from core.warnings import bounded

BEFORE_READ_AS: Mapping[str, Any] = {"quote": '"', "skip_rows": 0, "comment": "", "encoding": "utf-8", "decimal": "."}
"""Options of datasets that were stored before they kept theirs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Csv:
    """Rows of cells in a file of text. An option that is None is decided by the file."""

    header: bool | Sequence[str] | None = None
    """Whether the first row names the columns, or their names."""
    delimiter: str | None = None
    """Between cells; a blank stands for runs of blanks and tabs."""
    quote: str | None = None
    """Around cells."""
    decimal: str | None = None
    """The decimal sign."""
    thousands: str | None = None
    """What groups the digits of numbers."""
    skip_rows: int | None = None
    """Lines above the table."""
    comment: str | None = None
    """What begins a line that is none of the table."""
    encoding: str | None = None
    """The encoding of the text."""
    missing: Sequence[str] | None = None
    """Texts of missing values, beside the empty one."""
    date_format: str | None = None
    """How dates are written, as `strptime` reads them."""

    format: ClassVar[str] = "csv"
    content_types: ClassVar[tuple[str, ...]] = ("text/csv", "application/csv", "text/tab-separated-values")
    suffixes: ClassVar[tuple[str, ...]] = (".csv", ".tsv", ".tab")
    is_table: ClassVar[bool] = True

    @classmethod
    def recognizes(cls, head: bytes) -> bool:
        """Return whether a file is compressed, as no other format of one file is; any text may be CSV."""
        return is_compressed(head)

    @classmethod
    def of(cls, schema: Schema) -> Self:
        """Return the reader that reads a file as its schema was inferred."""
        if "read_as" not in schema.layout:
            return cls(**BEFORE_READ_AS, **schema.layout)
        values = {name: option["value"] for name, option in schema.layout["read_as"].items()}
        return cls(**{field.name: values.get(field.name) for field in fields(cls)})

    def options(self) -> dict[str, Any]:
        """Return the fields as JSON."""
        return asdict(self)

    def infer_schema(self, path: Path, types: Mapping[str, ColumnType], limits: Limits) -> Schema:
        """Return the schema of a file. Raises `InvalidFile` at the first place that is wrong."""
        found = self.evidence(path, limits)
        while True:  # each repair is made once at most
            try:
                return self._schema(path, found, types, limits)
            except (MixedLineEnds, NotUtf8) as error:
                self._repair(found, error)

    def _repair(self, found: Evidence, error: MixedLineEnds | NotUtf8) -> None:
        """Correct what an error in the midst of the file shows; raise it where nothing can be corrected."""
        if isinstance(error, MixedLineEnds):
            changed: dict[str, Any] = {"line_ends": True}
        elif found.certain_encoding or self.encoding is not None:
            raise error
        else:
            found.certain_encoding = True
            found.note("encoding", ReadAs(FALLBACK, "bytes amid the file are not UTF-8"), NOT_UTF8)
            changed = {"encoding": FALLBACK}
        found.layout = replace(found.layout, **changed, plain=False, header_lines=0)

    def _schema(self, path: Path, found: Evidence, types: Mapping[str, ColumnType], limits: Limits) -> Schema:
        table = CsvTable(path, found.layout, len(found.names), limits.record_bytes)
        rules = self._rules(found.form)
        rows, columns, warnings = infer_columns(table, found.names, types, limits, rules)
        if found.names_rows:
            columns = (replace(columns[0], names_rows=True), *columns[1:])
        layout = {
            "read_as": {name: each._asdict() for name, each in found.read_as.items()},
            "warnings": [warning._asdict() for warning in bounded([*found.warnings, *warnings])],
            "table": found.layout.to_json(),
            "thousands_form": found.form.thousands,
        }
        return Schema(format=self.format, rows=rows, columns=columns, layout=layout)

    def evidence(self, source: Source, limits: Limits) -> Evidence:
        """Return how a file is read. Raises `InvalidFile`."""
        said = {name: value for name, value in self.options().items() if value is not None}
        if isinstance(said.get("header"), list):
            said["header"] = tuple(said["header"])
        found = evidence_of(sample_of(source, limits.record_bytes), said, limits)
        if found.layout.plain:
            check_text(source, limits.record_bytes)
        usual = ReadAs(sorted(MISSING), "the usual texts of missing values")
        found.note("missing", usual if self.missing is None else ReadAs(list(self.missing), SAID))
        found.note("date_format", ReadAs(self.date_format, SAID if self.date_format else "decided by each column"))
        return found

    def _rules(self, form: NumberForm) -> CellRules:
        return CellRules(
            missing=MISSING if self.missing is None else frozenset({"", *self.missing}),
            form=form,
            dates=None if self.date_format is None else DateForm(self.date_format),
        )

    def _open(self, path: Path, schema: Schema) -> tuple[CsvTable, CellRules]:
        """Return the table of a file with this schema."""
        limits = Limits()
        if "table" in schema.layout:
            layout = Layout.from_json(schema.layout["table"])
            form = NumberForm(schema.layout["read_as"]["decimal"]["value"], schema.layout["thousands_form"])
        else:
            found = type(self).of(schema).evidence(path, limits)
            layout, form = replace(found.layout, end=None, suffix=""), found.form
        return CsvTable(path, layout, len(schema.columns), limits.record_bytes), self._rules(form)

    def load(self, path: Path, schema: Schema, columns: Sequence[Column]) -> dict[str, NDArray[Any]]:
        """Return columns by name: float64 with NaN for missing values, categories as int32 codes with −1."""
        table, rules = self._open(path, schema)
        return load_columns(table, schema, columns, rules)

    def rows(self, path: Path, schema: Schema, offset: int, limit: int) -> list[dict[str, Any]]:
        """Return a page of rows, each an object by column; numbers as numbers, missing values as None."""
        table, rules = self._open(path, schema)
        return page_of(table, schema, rules, offset, limit)

    def records_of(self, source: Source, limits: Limits) -> list[list[str]]:
        """Return the names of the columns, then the rows, each with a text for every column. Raises `InvalidFile`."""
        found = self.evidence(source, limits)
        table = CsvTable(source, found.layout, len(found.names), limits.record_bytes)
        with table.scan() as scan:
            rows = scan.fetch(f"SELECT * FROM {scan.relation}")
        return [found.names, *(["" if cell is None else cell for cell in row] for row in rows)]
