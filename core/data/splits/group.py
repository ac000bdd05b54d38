"""Whole groups of rows, such as all rows of one patient: no group is in two parts."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from annotated_types import MaxLen
from numpy.typing import NDArray

from core.data.cells import quote
from core.data.errors import InvalidData
from core.data.splits.split import (
    POINTER,
    Counts,
    FractionOrNone,
    KnownRows,
    LoadedRows,
    Parts,
    parts_of,
    require_filled,
    require_fractions,
    require_values,
    rounded,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSplit:
    """Whole groups, drawn at random by the seed of the training."""

    keeps_feature: ClassVar[bool] = False

    type: Literal["group"] = "group"
    """`group`."""

    column: Annotated[str, MaxLen(256)]
    """The column that names the group of each row; it is not learnt from unless `features` names it."""

    validation: FractionOrNone = 0.0
    """The part of the rows that the net is evaluated on after each epoch, as near as whole groups come to it."""

    test: FractionOrNone = 0.0
    """The part of the rows that the net is evaluated on once, after the last epoch."""

    @property
    def reads(self) -> str:
        """The column of groups."""
        return self.column

    def count(self, known: KnownRows) -> Counts:
        """Return the rows of each part, estimated: the sizes of the groups drawn differ.

        Raises `InvalidData` where there are fewer groups than parts.
        """
        require_fractions(self.validation, self.test)
        column = require_values(known.column, self.column)
        self._require_groups(column.distinct)
        validation, test = (rounded(part * known.rows) for part in (self.validation, self.test))
        return self._require_filled(Counts(known.rows - validation - test, validation, test))

    def split(self, loaded: LoadedRows, seed: int) -> Parts:
        """Return the parts. Raises `InvalidData` where there are fewer groups than parts."""
        _, group_ids, sizes = np.unique(np.asarray(loaded.values), return_inverse=True, return_counts=True)
        self._require_groups(len(sizes))
        order = np.random.Generator(np.random.PCG64(seed)).permutation(len(sizes)).tolist()
        held_out: list[NDArray[np.int64] | None] = []
        later = [self.validation > 0, self.test > 0, True]
        for fraction in (self.validation, self.test):
            del later[0]
            chosen = _nearest(order[: len(order) - sum(later)], sizes, fraction * loaded.rows) if fraction else []
            order = [group for group in order if group not in set(chosen)]
            held_out.append(np.flatnonzero(np.isin(group_ids.ravel(), chosen)) if fraction else None)
        return parts_of(loaded.rows, *held_out)

    def _require_groups(self, found: int | None) -> None:
        needed = 1 + (self.validation > 0) + (self.test > 0)
        if found is not None and found < needed:
            message = f"column {quote(self.column)} has {found} groups, fewer than the {needed} parts"
            raise InvalidData(f"{POINTER}/column", f"{message}: name a column with more groups, or ask for fewer parts")

    def _require_filled(self, counts: Counts) -> Counts:
        return require_filled(
            counts,
            validation=self.validation > 0,
            test=self.test > 0,
            pointer=POINTER,
            remedy="give more rows or other fractions",
        )


def _nearest(order: list[int], sizes: NDArray[np.int64], target: float) -> list[int]:
    """Return groups, taken in order where they bring the sum of sizes nearer to the target; at least the smallest."""
    chosen: list[int] = []
    taken = 0
    for group in order:
        size = int(sizes[group])
        if abs(taken + size - target) < abs(taken - target):
            chosen.append(group)
            taken += size
    return chosen or [min(order, key=lambda group: int(sizes[group]))]
