"""Types and statistics of the columns of a table of texts, by at most three scans of the file.

The first reads every cell as a number as programs write it, which settles columns of fractions. The second counts the
values of columns that have few, which settles words and integers among them. The third asks the other columns what else
they are: numbers as people write them, codes of digits, dates.
"""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from core.data.cells import MISSING_AMONG_NUMBERS, NumberForm, parse_written_number, quote, quote_names
from core.data.column_statistics import NEARLY
from core.data.date_forms import DateForm, date_forms_of
from core.data.errors import InvalidFile
from core.data.readers.tables.classes import folded
from core.data.readers.tables.found import Asked, Found, column_of
from core.data.readers.tables.rules import WHOLE, CellRules, seconds, strip, stripped
from core.data.readers.tables.table import Questions, TextTable, ask, value_counts
from core.data.schema import Column, ColumnType, Limits
from core.warnings import WarningMessage

MOMENTS = {"count": "count({x})", "min": "min({x})", "max": "max({x})", "mean": "avg({x})", "std": "stddev_pop({x})"}
"""Aggregates of the numbers or dates `{x}` of a column."""
_CODE = re.compile("0[0-9]+")
_DIGITS = re.compile("[+-]?[0-9]+")
_FRACTIONS = "count(CASE WHEN {x} <> trunc({x}) THEN 1 END)"
ESTIMATE = 1.2
"""How far an estimate of different values may be above their number."""
MORE_THAN_ESTIMATED = 10
MAX_DIGITS = 15
"""Digits that any number keeps."""


def infer_columns(
    table: TextTable, names: list[str], types: Mapping[str, ColumnType], limits: Limits, rules: CellRules
) -> tuple[int, tuple[Column, ...], list[WarningMessage]]:
    """Return the number of rows, the columns with the types that a client sets, and warnings. Raises `InvalidFile`."""
    for name in types:
        if name not in names:
            raise InvalidFile(f"types names a column {quote(name)}, and the file has {quote_names(names)}")
    categories = min(limits.categories, max(2, limits.all_categories // len(names)))
    found = _first_scan(table, names, types, rules, categories)
    rows = found[0].rows
    if not rows:
        raise InvalidFile("the file has a header and no rows: add at least one row of values")
    if rows * len(names) > limits.cells:
        raise InvalidFile(f"the table has more than {limits.cells} cells: send fewer rows or columns")
    asked = Asked(table, rules, limits, categories)
    _count_values(asked, [column for column in found if column.few])
    _ask_again(table, [column for column in found if not _is_settled(column, rules)], rules)
    for column in found:
        if column.counts is not None and not column.not_numbers:
            column.counts = {text: count for text, count in column.counts.items() if text not in MISSING_AMONG_NUMBERS}
    columns = tuple(column_of(column, asked) for column in found)
    return rows, columns, [warning for column in found for warning in _warnings(column)]


def _moments(name: str) -> dict[str, str]:
    return {f"{name} {moment}": sql.replace("{x}", f"{{{name}}}") for moment, sql in MOMENTS.items()}


def _finite(x: str) -> str:
    return f"CASE WHEN isfinite({x}) THEN {x} END"


def _first_scan(
    table: TextTable, names: list[str], types: Mapping[str, ColumnType], rules: CellRules, categories: int
) -> list[Found]:
    # A CASE is only computed where it is asked for; a FILTER, for every cell.
    y = rules.plain("{c}")
    other = f"CASE WHEN {y} IS NULL THEN CASE WHEN NOT {rules.is_missing('{c}')} THEN {{c}} END END"
    asked = {
        **_moments("x"),
        "rows": "count(*)",
        "fractions": _FRACTIONS,
        "casts": "count({y})",
        "different": "approx_count_distinct({v})",
        "others": "count({other})",
        "low": "min({other})",
        "high": "max({other})",
    }
    questions = Questions({"v": "{c}", "y": y, "x": _finite(y), "other": other}, asked)
    answers = ask(table, dict.fromkeys(range(len(names)), questions))
    found = []
    infinite = _infinite(
        table, [place for place, answer in answers.items() if answer and answer["casts"] > answer["x count"]], y
    )
    for place, name in enumerate(names):
        answer = answers[place] or dict.fromkeys(asked, 0)
        numbers = answer | {moment: answer[f"x {moment}"] for moment in MOMENTS}
        numbers["infinite"] = infinite.get(place, 0)
        column = Found(place, name, types.get(name), int(answer["rows"]), numbers, rules.plain())
        column.missing = column.rows - sum(int(numbers[each]) for each in ("count", "infinite", "others"))
        column.few = answer["different"] <= ESTIMATE * categories + MORE_THAN_ESTIMATED
        found.append(column)
    return found


def _infinite(table: TextTable, places: list[int], y: str) -> dict[int, int]:
    """Return the number of infinite numbers of columns in which not all are finite; others are NaN."""
    questions = Questions(
        {"v": "{c}", "y": y}, {"infinite": "count(*) FILTER (WHERE isinf({y}))", "rows": "count({v})"}
    )
    return {place: int(answer["infinite"]) for place, answer in ask(table, dict.fromkeys(places, questions)).items()}


def _is_settled(column: Found, rules: CellRules) -> bool:
    """Return whether nothing else can be found in a column than numbers, or words that are counted."""
    if not column.numbers["others"] and column.requested in (None, "number"):
        return column.numbers["fractions"] > 0 or column.counts is not None
    if column.counts is None or column.requested in ("number", "datetime"):
        return False
    return not (column.numbers["count"] or _forms(column, rules) or _dates(column, rules))


def _ask_again(table: TextTable, columns: list[Found], rules: CellRules) -> None:
    tried = {column.place: (_forms(column, rules), _dates(column, rules)) for column in columns}
    answers = ask(table, {place: _questions(*forms, rules) for place, forms in tried.items()})
    for column in columns:
        _conclude(column, answers[column.place], *tried[column.place], rules)


def _questions(forms: list[NumberForm], dates: list[DateForm], rules: CellRules) -> Questions:
    v = stripped("{c}")
    given = {"v": v}
    asked = {
        "missing": f"count(*) FILTER (WHERE {rules.is_missing('{v}')})",
        "missing_number": f"count(*) FILTER (WHERE {rules.is_missing_number('{v}')})",
        "codes": f"count(*) FILTER (WHERE {_is_code('{v}')})",
    }
    for form in forms:
        name = _name(form)
        given[name] = _finite(rules.written(v, form))
        asked |= {**_moments(name), f"{name} fractions": _FRACTIONS.replace("{x}", f"{{{name}}}")}
    for date in dates:
        given[_name(date)] = _finite(seconds(v, date))
        asked |= _moments(_name(date))
    return Questions(given, asked)


def _name(form: NumberForm | DateForm) -> str:
    """Return a name of SQL for a form."""
    return "f" + str(form).encode().hex()


def _is_code(v: str) -> str:
    """Return whether a text is digits after a zero, or digits of more than a number keeps."""
    zero = f"starts_with({v}, '0') AND regexp_full_match({v}, '0[0-9]+')"
    digits = f"strlen({v}) > {MAX_DIGITS} AND regexp_full_match({v}, '[+-]?[0-9]+')"
    return f"({zero}) OR ({digits} AND abs(TRY_CAST({v} AS DOUBLE)) > {WHOLE})"


def _forms(column: Found, rules: CellRules) -> list[NumberForm]:
    """Return the forms of numbers in which the least and the greatest of the other texts are numbers, or missing."""
    if not column.numbers["others"]:
        return []
    texts = [column.numbers[name].strip() for name in ("low", "high")]
    nearly = column.numbers["count"] >= (1 - 2 * NEARLY) * column.present or column.requested == "number"
    return [
        form
        for form in rules.forms
        if (nearly and form == rules.form) or all(_may_be_number(text, form, rules) for text in texts)
    ]


def _may_be_number(text: str, form: NumberForm, rules: CellRules) -> bool:
    return parse_written_number(text, form) is not None or text in rules.missing | MISSING_AMONG_NUMBERS


def _dates(column: Found, rules: CellRules) -> list[DateForm]:
    """Return the forms of dates that the least and the greatest of the other texts have."""
    if not column.numbers["others"] or (rules.dates is not None and column.requested not in (None, "datetime")):
        return []
    texts = [column.numbers[name].strip() for name in ("low", "high")]
    if rules.dates is not None:
        return [rules.dates]
    first, *others = [date_forms_of(text) for text in texts if text not in rules.missing] or [()]
    return [form for form in first if all(form in other for other in others)]


def _conclude(
    column: Found, answer: dict[str, Any], forms: list[NumberForm], dates: list[DateForm], rules: CellRules
) -> None:
    column.codes, column.missing = answer["codes"], answer["missing"]
    best = max(forms, key=lambda form: int(answer[f"{_name(form)} count"]), default=None)
    if best is not None and answer[f"{_name(best)} count"] >= column.numbers["count"]:
        column.form, column.number_of = best, rules.written(stripped(), best)
        column.numbers = column.numbers | {name: answer[f"{_name(best)} {name}"] for name in (*MOMENTS, "fractions")}
    if (
        column.numbers["count"]
        and column.rows - answer["missing_number"] == column.numbers["count"] + column.numbers["infinite"]
    ):
        column.missing = answer["missing_number"]
    complete = [date for date in dates if 0 < answer[f"{_name(date)} count"] == column.present]
    if complete:
        column.date = complete[0]
        column.dates = {name: answer[f"{_name(complete[0])} {name}"] for name in MOMENTS}
        column.unclear_date = {"%d/%m", "%m/%d"} <= {date.format[:5] for date in complete}


def _count_values(asked: Asked, columns: list[Found]) -> None:
    """Set the values of columns that have few, and what follows from them. Blanks are cut off after counting."""
    table, rules, limits, categories = asked
    longest = limits.category_length
    too_long = f"CASE WHEN strlen({{v}}) > {4 * longest} THEN repeat('x', {longest + 1}) ELSE {{v}} END"
    counts: dict[int, Counter[str]] = {column.place: Counter() for column in columns}
    for place, text, count in value_counts(table, list(counts), too_long):
        counts[place][strip(text)] += count
    for column in columns:
        values = counts[column.place]
        present = folded({text: count for text, count in values.items() if text not in rules.missing})
        if len(present) > categories or max(map(len, present), default=0) > longest:
            continue
        column.counts = present
        if column.numbers["others"]:
            column.missing = values.total() - sum(present.values())
        else:
            column.codes = sum(count for text, count in present.items() if _is_code_of_digits(text))


def _is_code_of_digits(text: str) -> bool:
    return bool(_CODE.fullmatch(text) or (_DIGITS.fullmatch(text) and abs(int(text)) > WHOLE))


def _warnings(column: Found) -> list[WarningMessage]:
    warnings = []
    if column.unclear_date and column.date is not None:
        form, other = ("month", "day") if column.date.format.startswith("%m") else ("day", "month")
        message = (
            f"column {quote(column.name)} has dates in which day and month could be exchanged; {form}, then {other}"
        )
        remedy = "was assumed: say date_format=%d/%m/%Y if not"
        warnings.append(WarningMessage("unclear_dates", "/columns", f"{message}{remedy}"))
    if column.requested is None and column.codes and not column.not_numbers:
        message = (
            f"column {quote(column.name)} has digits after a zero, or too many for a number, and stays {column.type}"
        )
        remedy = f'upload it with types {{"{column.name[:40]}": "number"}} if they are numbers'
        warnings.append(WarningMessage("codes_of_digits", "/columns", f"{message}: {remedy}"))
    return warnings
