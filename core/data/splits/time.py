"""The latest rows by a column of times: the net is evaluated on what comes after its training rows."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from annotated_types import MaxLen
from numpy.typing import NDArray

from core.data.splits.split import (
    POINTER,
    Counts,
    FractionOrNone,
    KnownRows,
    LoadedRows,
    Parts,
    require_filled,
    require_fractions,
    require_values,
    rounded,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeSplit:
    """The earliest rows train, the next validate, the latest test. Rows of one time are in one part."""

    keeps_feature: ClassVar[bool] = True

    type: Literal["time"] = "time"
    """`time`."""

    column: Annotated[str, MaxLen(256)]
    """The column of times: numbers, dates, or texts in an order such as `2026-01-31`."""

    validation: FractionOrNone = 0.0
    """The part of the rows that the net is evaluated on after each epoch."""

    test: FractionOrNone = 0.0
    """The part of the rows that the net is evaluated on once, after the last epoch."""

    @property
    def reads(self) -> str:
        """The column of times."""
        return self.column

    def count(self, known: KnownRows) -> Counts:
        """Return the rows of each part, estimated: equal times stay together. Raises `InvalidData` for empty parts."""
        require_fractions(self.validation, self.test)
        require_values(known.column, self.column)
        return self._require_filled(self._counts(known.rows))

    def split(self, loaded: LoadedRows, seed: int) -> Parts:
        """Return the parts. Raises `InvalidData` where too many times are equal to fill each."""
        _, ranks = np.unique(np.asarray(loaded.values), return_inverse=True)
        ranks = ranks.ravel()
        ordered = np.sort(ranks)
        counts = self._counts(loaded.rows)
        # A part begins with the first row of its time: of equal times, all rows are in the later part.
        first_test = int(ordered[loaded.rows - counts.test]) if counts.test else len(ordered)
        before_test = loaded.rows - counts.test - counts.validation
        first_validation = int(ordered[before_test]) if counts.validation else first_test
        parts = _by_rank(ranks, first_validation, first_test)
        self._require_filled(Counts(*map(len, parts)))
        train, validation, test = parts
        return Parts(train, validation if self.validation else None, test if self.test else None)

    def _counts(self, rows: int) -> Counts:
        validation, test = (rounded(part * rows) for part in (self.validation, self.test))
        return Counts(rows - validation - test, validation, test)

    def _require_filled(self, counts: Counts) -> Counts:
        return require_filled(
            counts,
            validation=self.validation > 0,
            test=self.test > 0,
            pointer=POINTER,
            remedy="give more rows, other fractions, or a column with more different times",
        )


def _by_rank(
    ranks: NDArray[np.int64], first_validation: int, first_test: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    return (
        np.flatnonzero(ranks < min(first_validation, first_test)),
        np.flatnonzero((ranks >= first_validation) & (ranks < first_test)),
        np.flatnonzero(ranks >= first_test),
    )
