"""Reader of spreadsheets: Excel (.xlsx, .xlsm, .xlsb, .xls) and OpenDocument (.ods), by calamine."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from core.data.cells import quote, quote_names
from core.data.errors import InvalidFile
from core.data.readers.cell_table import CellTable, is_header, text_of
from core.data.schema import Limits

OFFICE_XML = (b"[Content_Types].xml", b"xl/", b"_rels/.rels", b"docProps/")
OPEN_DOCUMENT = b"mimetypeapplication/vnd.oasis.opendocument.spreadsheet"
FIRST_ENTRY_BYTES = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Workbook(CellTable):
    """A sheet of an Excel or OpenDocument workbook. Formulas have the value that they had when the file was saved."""

    sheet: str | None = None
    """The name of the sheet; by default the first that has cells."""

    format: ClassVar[str] = "excel"
    content_types: ClassVar[tuple[str, ...]] = (
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "application/vnd.ms-excel",
        "application/vnd.ms-excel.sheet.macroenabled.12",
        "application/vnd.ms-excel.sheet.binary.macroenabled.12",
        "application/vnd.oasis.opendocument.spreadsheet",
    )
    suffixes: ClassVar[tuple[str, ...]] = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")

    @classmethod
    def recognizes(cls, head: bytes) -> bool:
        """Return whether these are the first bytes of an Office document or of an OpenDocument spreadsheet."""
        begin = head[:FIRST_ENTRY_BYTES]
        if head.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
            return True
        return head.startswith(b"PK\x03\x04") and (OPEN_DOCUMENT in begin or any(name in begin for name in OFFICE_XML))

    def records(self, path: Path, limits: Limits) -> Iterator[list[str]]:
        """Yield the names of the columns, then the rows; rows and columns without any cell are left out.

        Without a header, columns are named `0`, `1`, …. Raises `InvalidFile`.
        """
        values = self._values(path, limits)
        used = [place for place in range(len(values[0])) if any(row[place] != "" for row in values)] if values else []
        filled = ([row[place] for place in used] for row in values if any(value != "" for value in row))
        first = next(filled, None)
        if first is None:
            raise InvalidFile("the sheet has no cells: name another one with ?sheet=, or fill it")
        if not _is_header(first):
            yield [str(place) for place in range(len(first))]
        yield list(map(text_of, first))
        yield from (list(map(text_of, row)) for row in filled)

    def _values(self, path: Path, limits: Limits) -> list[list[Any]]:
        from python_calamine import CalamineError, PasswordError, load_workbook  # noqa: PLC0415 - only for workbooks

        try:
            with path.open("rb") as file, load_workbook(file) as workbook:
                names = [sheet.name for sheet in workbook.sheets_metadata]
                if self.sheet is not None and self.sheet not in names:
                    raise InvalidFile(f"there is no sheet {quote(self.sheet)}: the workbook has {quote_names(names)}")
                for name in names if self.sheet is None else [self.sheet]:
                    sheet = workbook.get_sheet_by_name(name)
                    if sheet.total_height * sheet.total_width > limits.cells:
                        raise InvalidFile(f"sheet {quote(name)} has more than {limits.cells} cells: send fewer")
                    if values := sheet.to_python():
                        return values
        except PasswordError:
            raise InvalidFile("the workbook is protected by a password: save it without one") from None
        except (CalamineError, OSError) as error:
            raise InvalidFile(f"the file cannot be read as a workbook ({str(error)[:200]}): save it again") from None
        return []


def _is_header(first: list[Any]) -> bool:
    """Return whether the first row names the columns: all cells are texts, even of digits, or it looks like names."""
    return all(isinstance(value, str) for value in first) or is_header(list(map(text_of, first)))
