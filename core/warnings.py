"""Warnings: what is allowed and probably not meant, of a job, a dataset or a prediction.

`docs/guides/warnings.md` lists the codes; `tests/test_docs.py` checks that none is missing there.
"""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

MAX_WARNINGS = 20
"""Warnings of one job, dataset or prediction; of codes that have many, further ones are left out."""
MAX_MESSAGE = 500
"""Characters of a message."""


class WarningMessage(NamedTuple):
    """A warning for a client."""

    code: str
    """A stable word for its kind."""
    pointer: str
    """JSON pointer to the place in the spec, or in the instance of a prediction."""
    message: str
    """What is probably not meant, and what to do."""


def bounded(warnings: Iterable[WarningMessage]) -> list[WarningMessage]:
    """Return the warnings in their order, each once, with messages cut to their bound.

    Of too many, the first of every code stay, so that thirty columns that are left out do not hide what else is wrong.
    """
    cut = (WarningMessage(code, pointer, message[:MAX_MESSAGE]) for code, pointer, message in warnings)
    found, seen, ranked = list(dict.fromkeys(cut)), Counter[str](), list[tuple[int, int]]()
    for place, warning in enumerate(found):
        ranked.append((seen[warning.code], place))
        seen[warning.code] += 1
    return [found[place] for place in sorted(place for _, place in sorted(ranked)[:MAX_WARNINGS])]
