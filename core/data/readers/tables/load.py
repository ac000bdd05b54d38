"""Arrays and pages of rows of a table of texts whose schema is known."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.data.cells import COMMA, POINT, quote, spellings_of
from core.data.date_forms import DateForm
from core.data.errors import InvalidFile
from core.data.readers.tables.connection import literal
from core.data.readers.tables.rules import CellRules, seconds, stripped
from core.data.readers.tables.table import GROUP, SIDE_BY_SIDE, TextTable, cells, groups_of
from core.data.schema import Column, Schema

CHANGED = "as it had not at the upload"


def load_columns(
    table: TextTable, schema: Schema, columns: Sequence[Column], rules: CellRules
) -> dict[str, NDArray[Any]]:
    """Return columns by name: float64 with NaN for missing values, categories as int32 codes with −1, texts with None.

    Raises `InvalidFile` where the table is not the one of the schema.
    """
    places = {column.name: place for place, column in enumerate(schema.columns)}
    numbers = [column for column in columns if column.type == "number"]
    loaded: dict[str, NDArray[Any]] = {}
    if len(numbers) > SIDE_BY_SIDE:
        for decimal in dict.fromkeys(column.decimal for column in numbers):
            for group in groups_of((column for column in numbers if column.decimal == decimal), GROUP):
                loaded |= _one_below_the_other(table, group, places, rules)
    for group in groups_of((column for column in columns if column.name not in loaded), SIDE_BY_SIDE):
        loaded |= _side_by_side(table, group, places, rules)
    return {column.name: loaded[column.name] for column in columns}


def _one_below_the_other(
    table: TextTable, columns: Sequence[Column], places: Mapping[str, int], rules: CellRules
) -> dict[str, NDArray[Any]]:
    """Return many columns of numbers of one form, by one expression."""
    with table.scan() as scan:
        below = cells(scan.relation, [places[column.name] for column in columns])
        x = _number("v", columns[0], rules)
        values = scan.connection.execute(f"SELECT {x} AS x FROM ({below})").fetchnumpy()["x"]
    by_row = np.ma.getdata(values).reshape(-1, len(columns))
    return {column.name: _checked(np.ascontiguousarray(by_row[:, i]), column) for i, column in enumerate(columns)}


def _side_by_side(
    table: TextTable, columns: Sequence[Column], places: Mapping[str, int], rules: CellRules
) -> dict[str, NDArray[Any]]:
    """Return few columns, each by its own expression."""
    wanted = [(f"x{number}", column) for number, column in enumerate(columns)]
    with table.scan() as scan:
        expressions = []
        for x, column in wanted:
            c = f"c{places[column.name]}"
            v = stripped(c)
            if column.type == "category" and column.classes:
                spelled = ", ".join(map(literal, _spellings(column)))
                scan.connection.execute(f"CREATE TYPE {x} AS ENUM ({spelled})")
                code = f"enum_code(TRY_CAST({v} AS {x}))::INTEGER"
                value = f"coalesce({code}, CASE WHEN {rules.is_missing(v)} THEN -1 ELSE -2 END)"
            else:
                value = EXPRESSIONS[column.type](c, column, rules)
            expressions.append(f"{value} AS {x}")
        query = f"SELECT {', '.join(expressions)} FROM {scan.relation}"
        arrays = scan.connection.execute(query).fetchnumpy()
    return {column.name: _checked(arrays.pop(x), column) for x, column in wanted}


def _spellings(column: Column) -> list[str]:
    return list(dict.fromkeys(spelling for name, _ in column.classes for spelling in spellings_of(name)))


def _number(c: str, column: Column, rules: CellRules) -> str:
    # Most cells are numbers as programs write them; the others are only looked at then.
    v = stripped(c)
    form = rules.form if column.decimal == rules.form.decimal else COMMA if column.decimal == "," else POINT
    missing = f"CASE WHEN {rules.is_missing_number(v)} THEN 'nan'::DOUBLE ELSE 'inf'::DOUBLE END"
    plain = f"{rules.plain(c)}, " if form == rules.form else ""
    return f"coalesce({plain}{rules.written(v, form)}, {missing})"


def _datetime(c: str, column: Column, rules: CellRules) -> str:
    v = stripped(c)
    x = seconds(v, DateForm(column.date_format or "iso"))
    return f"coalesce({x}, CASE WHEN {rules.is_missing(v)} THEN 'nan'::DOUBLE ELSE 'inf'::DOUBLE END)"


def _text(c: str, _: Column, rules: CellRules) -> str:
    v = stripped(c)
    return f"CASE WHEN NOT {rules.is_missing(v)} THEN {v} END"


EXPRESSIONS: Mapping[str, Callable[[str, Column, CellRules], str]] = {
    "number": _number,
    "datetime": _datetime,
    "text": _text,
    "category": lambda c, _, rules: f"CASE WHEN {rules.is_missing(stripped(c))} THEN -1 ELSE -2 END",
}
"""Values of a column by its type; infinite where a cell is not of the type."""


def _checked(array: NDArray[Any], column: Column) -> NDArray[Any]:
    """Return the values of a column as readers give them. Raises `InvalidFile` where they are not of its type."""
    if len(array) != column.rows:
        raise InvalidFile(f"the file has {len(array)} rows, and {column.rows} at the upload")
    if column.type == "text":
        return np.ma.filled(array.astype(object), None) if np.ma.isMaskedArray(array) else array
    values = np.ma.getdata(array)
    if column.type == "category":
        if (values == -2).any():
            raise InvalidFile(
                f"column {quote(column.name)} has a value that is not one of its categories at the upload"
            )
        return _codes(column)[values]
    if np.isinf(values).any():
        raise InvalidFile(f"column {quote(column.name)} has cells that are no {column.type}, {CHANGED}")
    return values


def _codes(column: Column) -> NDArray[np.int32]:
    """Return the code of the class of each spelling; −1 for the last, which is that of missing values."""
    code_of = {s: code for code, (name, _) in reversed(list(enumerate(column.classes))) for s in spellings_of(name)}
    code_of |= {name: code for code, (name, _) in enumerate(column.classes)}
    return np.array([*(code_of[spelling] for spelling in _spellings(column)), -1], np.int32)


def page_of(table: TextTable, schema: Schema, rules: CellRules, offset: int, limit: int) -> list[dict[str, Any]]:
    """Return a page of rows, each an object by column; numbers as numbers, missing values as None."""
    page: list[dict[str, Any]] = []
    for group in groups_of(enumerate(schema.columns), SIDE_BY_SIDE):
        with table.scan() as scan:
            shown = ", ".join(_shown(f"c{place}", column, rules) for place, column in group)
            rows = scan.fetch(f"SELECT {shown} FROM {scan.relation} LIMIT {int(limit)} OFFSET {int(offset)}")
        page = page or [{} for _ in rows]
        for record, row in zip(page, rows, strict=True):
            record.update(zip((column.name for _, column in group), row, strict=True))
    return page


def _shown(c: str, column: Column, rules: CellRules) -> str:
    if column.type == "number":
        x = _number(c, column, rules)
        return f"CASE WHEN isfinite({x}) THEN {x} END"
    return _text(c, column, rules)
