"""Which sign is the decimal one, and which groups digits by three, by the cells of a sample."""

import re
from collections import Counter
from collections.abc import Iterable

from core.data.cells import CURRENCIES, MINUS, is_address
from core.data.readers.csv.layout import ReadAs

_BEFORE = rf"[+\-{MINUS}]?[ \u00a0]?[{CURRENCIES}]?[ \u00a0]?"
_AFTER = rf"[ \u00a0]?[%{CURRENCIES}]?"


def _number(digits: str) -> "re.Pattern[str]":
    return re.compile(rf"{_BEFORE}{digits}([eE][+\-]?[0-9]+)?{_AFTER}")


GROUPS = (",", ".", " ", "'", "\u00a0", "\u202f")
"""What may group digits."""
_OTHER = {",": "[.]"}
"""The decimal sign beside a sign that groups digits: a comma beside all others than a comma."""


def _only_decimal(sign: str) -> "re.Pattern[str]":
    point = re.escape(sign)
    return _number(rf"([0-9]*{point}([0-9]{{1,2}}|[0-9]{{4,}})|0{point}[0-9]+|[0-9]{{4,}}{point}[0-9]+)")


def _grouped(sign: str) -> "re.Pattern[str]":
    return _number(rf"[1-9][0-9]{{0,2}}({re.escape(sign)}[0-9]{{3}})+")


def _only_grouped(sign: str) -> "re.Pattern[str]":
    group, point = rf"{re.escape(sign)}[0-9]{{3}}", _OTHER.get(sign, "[.,]" if sign not in ".," else ",")
    return _number(rf"[1-9][0-9]{{0,2}}(({group})+{point}[0-9]+|({group}){{2,}})")


_DECIMAL = {sign: _only_decimal(sign) for sign in ".,"}
"""Numbers in which a sign can only be the decimal one."""
_GROUPED = {sign: _grouped(sign) for sign in GROUPS}
"""Numbers in which a sign may group digits."""
_ONLY_GROUPED = {sign: _only_grouped(sign) for sign in GROUPS}
"""Numbers in which a sign can only group digits."""
SURE = 10
"""The weight of a number in which a sign can only group digits."""


def decimal_of(cells: Iterable[str], delimiter: str) -> tuple[ReadAs, ReadAs, str | None]:
    """Return the decimal sign, what groups digits, and a cell that could be read either way."""
    decimal: Counter[str] = Counter()
    grouped: Counter[str] = Counter()
    perhaps: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for cell in cells:
        if is_address(cell) or not any(sign in cell for sign in GROUPS):
            continue
        for counts, patterns in ((decimal, _DECIMAL), (grouped, _ONLY_GROUPED), (perhaps, _GROUPED)):
            for sign, pattern in patterns.items():
                if pattern.fullmatch(cell):
                    counts[sign] += 1
                    examples.setdefault(f"{'decimal' if counts is decimal else 'group'} {sign}", cell)
    comma = decimal[","] + grouped["."] > decimal["."] + grouped[","]
    certain = bool(decimal.total() + grouped[","] + grouped["."])
    unclear = None if certain else next((examples[f"group {sign}"] for sign in ",." if perhaps[sign]), None)
    reason = "no number has another"
    if not certain and perhaps[","] and delimiter == ";":
        comma, reason = True, "the delimiter is a semicolon"
    sign, other = (",", ".") if comma else (".", ",")
    example = examples.get(f"decimal {sign}") or examples.get(f"group {other}")
    if certain and example:
        reason = f'of numbers such as "{example[:40]}"'
    group = max(GROUPS, key=lambda each: (each != sign) * (grouped[each] * SURE + perhaps[each]))
    found = group != sign and grouped[group] + perhaps[group]
    thousands = ReadAs(group, f'of numbers such as "{examples[f"group {group}"][:40]}"') if found else None
    return ReadAs(sign, reason), thousands or ReadAs("", "no number has one"), unclear
