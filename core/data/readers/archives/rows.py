"""Rows of an archive: a file each, with its class, its part, and what a table in the archive says of it."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from core.data.cells import quote, quote_names
from core.data.errors import InvalidFile
from core.data.files.values import FileValue, HeldFile
from core.data.readers.archives import cifar, idx
from core.data.readers.archives.kinds import FILE, KIND_OF, SUFFIXES
from core.data.readers.archives.names import folders_of, suffix_of
from core.data.readers.csv import Csv
from core.data.schema import ColumnType, Limits

LABEL = "label"
"""The name of the column of classes."""
PART = "split"
"""The name of the column that says to which part of the dataset a file belongs."""
TABLE_SUFFIXES = (".csv", ".tsv")
ARRAYS = (idx, cifar)
"""Forms of archives whose pictures are arrays in few files."""

Visit = Callable[[ColumnType, Any], Any]
"""Reads a file of a kind, and returns what is kept of it: itself, or less."""


class Rows(NamedTuple):
    """The files of an archive, and the cells of the other columns, as texts."""

    kind: ColumnType
    files: list[Any]
    cells: Mapping[str, list[str]]


def rows_of(members: Iterable[FileValue], limits: Limits, visit: Visit) -> Rows:
    """Return the rows of an archive; each file of data is visited once, in the order of the archive.

    Raises `InvalidFile` where there are no files of a known kind, several kinds, or a table that does not fit them.
    """
    files: dict[ColumnType, list[Any]] = {}
    tables: list[FileValue] = []
    of_arrays: dict[Any, list[FileValue]] = {}
    first = None
    for member in members:
        first = first or member.name
        form = next((form for form in ARRAYS if form.is_named_so(member.name)), None)
        if form is not None:
            of_arrays.setdefault(form, []).append(member)
        elif suffix_of(member.name) in TABLE_SUFFIXES:
            tables.append(HeldFile(member.name, member.read()))
        elif kind := KIND_OF.get(suffix_of(member.name)):
            files.setdefault(kind, []).append(visit(kind, member))
    if of_arrays:
        return _array_rows(of_arrays, limits, visit)
    kind = _only_kind(files, first)
    cells = _cells_of_table(tables, files[kind], limits) if tables else _cells_of_folders(files[kind])
    if tables:
        return Rows(kind, list(cells.pop(FILE)), cells)
    return Rows(kind, files[kind], cells)


def _array_rows(of_arrays: Mapping[Any, list[FileValue]], limits: Limits, visit: Visit) -> Rows:
    form, members = next(iter(of_arrays.items()))
    pictures, labels, parts = form.read(members, limits)
    cells = {LABEL: labels} | ({PART: parts} if len(set(parts)) > 1 else {})
    return Rows("image", [visit("image", picture) for picture in pictures], cells)


def _only_kind(files: Mapping[ColumnType, list[Any]], first: str | None) -> ColumnType:
    """Return the kind of files that are the data: texts beside others are notes."""
    kinds: list[ColumnType] = [kind for kind in files if kind != "text"]
    kinds = kinds or list(files)
    if first is None:
        raise InvalidFile("the archive has no files: put them into it, in a folder for each class")
    if not kinds:
        suffixes = ", ".join(suffix for kind in SUFFIXES.values() for suffix in kind)
        message = f"the archive has no files to learn from; its first is {quote(first)}"
        raise InvalidFile(f"{message}: use files that end with one of {suffixes}")
    if len(kinds) > 1:
        found = ", ".join(f"{quote(files[kind][0].name)} ({kind})" for kind in kinds)
        raise InvalidFile(f"the archive has files of several kinds, {found}: make an archive of each")
    return kinds[0]


def _cells_of_folders(files: list[Any]) -> dict[str, list[str]]:
    labels, parts = folders_of([file.name for file in files])
    cells = {LABEL: labels, PART: parts}
    return {name: found for name, found in cells.items() if found is not None}


def _cells_of_table(tables: list[FileValue], files: list[Any], limits: Limits) -> dict[str, list[Any]]:
    """Return the columns of the table in an archive, with the files that its rows name instead of the names."""
    if len(tables) > 1:
        raise InvalidFile(f"the archive has several tables, {quote_names([t.name for t in tables])}: keep one of them")
    table = tables[0]
    names, rows = _read_table(table, limits)
    by_name = dict(_keys(files, str(PurePosixPath(table.name).parent)))
    place = next((place for place in range(len(names)) if rows[0][place].strip() in by_name), None)
    if place is None:
        message = f"{quote(table.name)}, row 1: no cell names a file of the archive"
        raise InvalidFile(f"{message}: give a column with names such as {quote(files[0].name)}")
    if FILE in names and names[place] != FILE:
        raise InvalidFile(f"{quote(table.name)} has a column {quote(FILE)} without names of files: rename it")
    cells: dict[str, list[Any]] = {FILE: []}
    for number, row in enumerate(rows, 1):
        named = row[place].strip()
        if named not in by_name:
            raise InvalidFile(f"{quote(table.name)}, row {number}: {quote(named)} is not in the archive: add it")
        cells[FILE].append(by_name[named])
    return cells | {name: [row[i] for row in rows] for i, name in enumerate(names) if i != place}


def _read_table(table: FileValue, limits: Limits) -> tuple[list[str], list[list[str]]]:
    try:
        names, *rows = Csv().records_of(table.read(), limits)
    except InvalidFile as error:
        raise InvalidFile(f"{quote(table.name)}: {error.message}") from None
    if not rows:
        raise InvalidFile(f"{quote(table.name)} has no rows: give one for each file")
    return names, rows


def _keys(files: list[Any], folder: str) -> Iterator[tuple[str, Any]]:
    """Yield each file by the names that a table may call it, the surest last, so that they win."""
    for short in ([PurePosixPath(file.name).stem for file in files], [PurePosixPath(file.name).name for file in files]):
        counts = Counter(short)
        yield from ((name, file) for name, file in zip(short, files, strict=True) if counts[name] == 1)
    for file in files:
        if folder != ".":
            yield file.name.removeprefix(f"{folder}/"), file
    yield from ((file.name, file) for file in files)
