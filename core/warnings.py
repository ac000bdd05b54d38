"""Warnings: what is allowed and probably not meant, of a job, a dataset or a prediction.

`docs/guides/warnings.md` lists the codes; `tests/test_docs.py` checks that none is missing there.
"""

from collections.abc import Iterable
from typing import NamedTuple

MAX_WARNINGS = 20
"""Warnings of one job, dataset or prediction; further ones are left out."""
MAX_MESSAGE = 500
"""Characters of a message."""


class WarningMessage(NamedTuple):
    """A warning for a client."""

    code: str
    """A stable word for its kind."""
    pointer: str
    """JSON pointer to the place in the spec or the request."""
    message: str
    """What is probably not meant, and what to do."""


def bounded(warnings: Iterable[WarningMessage]) -> list[WarningMessage]:
    """Return the first warnings, each once, with messages cut to their bound."""
    cut = (WarningMessage(code, pointer, message[:MAX_MESSAGE]) for code, pointer, message in warnings)
    return list(dict.fromkeys(cut))[:MAX_WARNINGS]
