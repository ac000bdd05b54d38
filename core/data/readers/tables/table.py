"""A table of texts that DuckDB reads, and questions about its columns that one scan of the file answers.

Columns are `c0`, `c1`, …, all of type VARCHAR. Few columns are asked side by side, each by its own expressions. DuckDB
needs seconds to plan thousands of expressions, so that many columns are asked one below the other: their cells become
rows of a number and a text, grouped by the number.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    import duckdb

SIDE_BY_SIDE = 64
"""Columns up to which each has its own expressions."""
GROUP = 512
"""Columns of one scan: DuckDB holds 2,048 texts of 16 bytes of each, several times over."""

T = TypeVar("T")


class Questions(NamedTuple):
    """What is asked of a column."""

    given: Mapping[str, str]
    """Expressions by name, of the text `{c}`. DuckDB computes each once."""
    asked: Mapping[str, str]
    """Aggregates by name, of the expressions that are given, such as `{x}`."""


Answers = dict[int, dict[str, Any]]
"""Values by name, for each column."""


class Scan(NamedTuple):
    """A table that is open to be read once."""

    connection: "duckdb.DuckDBPyConnection"
    relation: str
    """What stands after FROM."""

    def fetch(self, query: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        return self.connection.execute(query).fetchall()


class TextTable(Protocol):
    """A table of texts. Members are frozen dataclasses."""

    @property
    def width(self) -> int:
        """The number of columns."""
        ...

    def scan(self) -> AbstractContextManager[Scan]:
        """Open the table for one query. Raises `InvalidFile` where the file does not fit."""
        ...


def groups_of(items: Iterable[T], size: int) -> Iterator[tuple[T, ...]]:
    """Yield the items in groups of at most `size`."""
    held = iter(items)
    while group := tuple(islice(held, size)):
        yield group


def ask(table: TextTable, questions: Mapping[int, Questions]) -> Answers:
    """Return the answers to each column's questions."""
    answers: Answers = {}
    for places in groups_of(questions, GROUP):
        group = {place: questions[place] for place in places}
        answers |= (_side_by_side if len(group) <= SIDE_BY_SIDE else _one_below_the_other)(table, group)
    return answers


def _side_by_side(table: TextTable, questions: Mapping[int, Questions]) -> Answers:
    given = [
        f"{sql.replace('{c}', f'c{place}')} AS {name}{place}"
        for place, of_column in questions.items()
        for name, sql in of_column.given.items()
    ]
    asked = [
        (place, name, _filled(sql, {name: f"{name}{place}" for name in of_column.given}))
        for place, of_column in questions.items()
        for name, sql in of_column.asked.items()
    ]
    if not asked:
        return {}
    with table.scan() as scan:
        columns = f"SELECT {', '.join(given)} FROM {scan.relation}"
        (row,) = scan.fetch(f"SELECT {', '.join(sql for *_, sql in asked)} FROM ({columns})")
    answers: Answers = {place: {} for place in questions}
    for (place, name, _), value in zip(asked, row, strict=True):
        answers[place][name] = value
    return answers


def _one_below_the_other(table: TextTable, questions: Mapping[int, Questions]) -> Answers:
    given = {name: sql for of_column in questions.values() for name, sql in of_column.given.items()}
    asked = {name: sql for of_column in questions.values() for name, sql in of_column.asked.items()}
    with table.scan() as scan:
        columns = "".join(f", {sql.replace('{c}', 'v')} AS x_{name}" for name, sql in given.items())
        rows_of_cells = f"SELECT k{columns} FROM ({cells(scan.relation, list(questions))})"
        named = {name: f"x_{name}" for name in given}
        aggregates = "".join(f", {_filled(sql, named)}" for sql in asked.values())
        rows = scan.fetch(f"SELECT k{aggregates} FROM ({rows_of_cells}) GROUP BY k")
    found = {k: dict(zip(asked, values, strict=True)) for k, *values in rows}
    return {place: found.get(k, {}) for k, place in enumerate(questions)}


def _filled(sql: str, names: Mapping[str, str]) -> str:
    for name, column in names.items():
        sql = sql.replace(f"{{{name}}}", column)
    return sql


def cells(relation: str, places: Sequence[int]) -> str:
    """Return a query of the columns' cells one below the other: `k`, the place in `places`, and `v`, the text."""
    columns = ", ".join(f"c{place}" for place in places)
    return f"SELECT unnest([{columns}]) AS v, unnest(range({len(places)})) AS k FROM {relation}"


def value_counts(table: TextTable, places: Sequence[int], text: str) -> Iterator[tuple[int, str, int]]:
    """Yield column, text and number of cells; `text` is the expression of `{v}` that is counted, NULL left out."""
    for group in groups_of(places, GROUP):
        with table.scan() as scan:
            rows = scan.fetch(
                f"SELECT k, t, count(*) FROM (SELECT k, {text.replace('{v}', 'v')} AS t FROM "
                f"({cells(scan.relation, group)})) WHERE t IS NOT NULL GROUP BY k, t"
            )
        yield from ((group[k], value, count) for k, value, count in rows)


def first_row(table: TextTable, place: int, condition: str) -> tuple[int, str] | None:
    """Return the first row, from 1, whose text meets a condition of `{v}`, and the text."""
    with table.scan() as scan:
        numbered = f"SELECT row_number() OVER () AS row, c{place} AS v FROM {scan.relation}"
        rows = scan.fetch(f"SELECT row, v FROM ({numbered}) WHERE {condition.replace('{v}', 'v')} LIMIT 1")
    return (int(rows[0][0]), str(rows[0][1])) if rows else None
