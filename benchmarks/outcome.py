"""A benchmark's outcome: a measured figure beside its bound. A missed figure is reported as missed."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


class Missing(Exception):
    """A peer or server that a benchmark needs is not installed; its rows are skipped with this reason."""

    def __init__(self, name: str, reason: object) -> None:
        super().__init__(f"{name} is missing: {str(reason).strip().splitlines()[0]}")
        self.required = name in os.environ.get("CHAINRULE_REQUIRE", "").split(",")


@dataclass(frozen=True)
class Outcome:
    """One row of the table. `met` is None for information without a bound and for skipped rows."""

    what: str
    measured: str
    must: str = ""
    met: bool | None = None


def at_most(what: str, value: float, bound: float, unit: str, note: str = "") -> Outcome:
    """Return a figure that must not exceed `bound`."""
    return Outcome(what, _measured(value, unit, note), f"≤ {bound:g} {unit}", value <= bound)


def at_least(what: str, value: float, bound: float, unit: str, note: str = "") -> Outcome:
    """Return a figure that must not fall below `bound`."""
    return Outcome(what, _measured(value, unit, note), f"≥ {bound:g} {unit}".rstrip(), value >= bound)


def information(what: str, value: float, unit: str, note: str = "") -> Outcome:
    """Return a figure without a bound."""
    return Outcome(what, _measured(value, unit, note))


def spread(values: Sequence[float]) -> str:
    """Return the range of the middle half of the values, as text."""
    return f"{percentile(values, 0.25):.2f}–{percentile(values, 0.75):.2f}"


def percentile(values: Sequence[float], share: float) -> float:
    """Return the quantile of the values at `share` (0 to 1)."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def ratios(numerators: Sequence[float], denominators: Sequence[float]) -> tuple[float, str]:
    """Return the median of the rounds' ratios and the range of their middle half."""
    each = [above / below for above, below in zip(numerators, denominators, strict=True)]
    return median(each), spread(each)


def _measured(value: float, unit: str, note: str) -> str:
    digits = 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:.{digits}f} {unit}".rstrip() + (f" ({note})" if note else "")
