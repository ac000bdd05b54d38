"""What a benchmark says: a figure beside what it must be. A figure that was missed stands there as missed."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


class Missing(Exception):
    """Something that a benchmark compares with, or runs on, is not here: its rows are skipped and say so."""

    def __init__(self, name: str, reason: object) -> None:
        super().__init__(f"{name} is missing: {str(reason).strip().splitlines()[0]}")
        self.required = name in os.environ.get("CHAINRULE_REQUIRE", "").split(",")


@dataclass(frozen=True)
class Outcome:
    """One line of the table. `met` is None for what has nothing to meet: information, or a row that was skipped."""

    what: str
    measured: str
    must: str = ""
    met: bool | None = None


def at_most(what: str, value: float, bound: float, unit: str, note: str = "") -> Outcome:
    """A figure that must not be larger than `bound`."""
    return Outcome(what, _told(value, unit, note), f"≤ {bound:g} {unit}", value <= bound)


def at_least(what: str, value: float, bound: float, unit: str, note: str = "") -> Outcome:
    """A figure that must not be smaller than `bound`."""
    return Outcome(what, _told(value, unit, note), f"≥ {bound:g} {unit}".rstrip(), value >= bound)


def information(what: str, value: float, unit: str, note: str = "") -> Outcome:
    """A figure without a bound."""
    return Outcome(what, _told(value, unit, note))


def spread(values: Sequence[float]) -> str:
    """Where the middle half of the values lies."""
    return f"{percentile(values, 0.25):.2f}–{percentile(values, 0.75):.2f}"


def percentile(values: Sequence[float], share: float) -> float:
    """The value under which this share (0 to 1) of the values lies."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def ratios(numerators: Sequence[float], denominators: Sequence[float]) -> tuple[float, str]:
    """The median of the rounds' ratios, and where the middle half of those lies."""
    each = [above / below for above, below in zip(numerators, denominators, strict=True)]
    return median(each), spread(each)


def _told(value: float, unit: str, note: str) -> str:
    digits = 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:.{digits}f} {unit}".rstrip() + (f" ({note})" if note else "")
