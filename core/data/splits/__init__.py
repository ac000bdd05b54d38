"""Splits, one per file: rows drawn at random, whole groups, the latest rows, a column that names the part."""

from typing import Annotated

from core.data.errors import InvalidData
from core.data.splits.column import ColumnSplit
from core.data.splits.fraction import FractionSplit, Validation
from core.data.splits.group import GroupSplit
from core.data.splits.split import POINTER, Everything, SplitRule
from core.data.splits.time import TimeSplit
from core.nn.tagged_union import Tagged

Split = Annotated[FractionSplit | GroupSplit | TimeSplit | ColumnSplit, Tagged("Split")]
"""The field `split` of an uploaded dataset in a spec."""


def chosen_split(validation: Validation | None, split: SplitRule | None) -> SplitRule:
    """Return the split of a spec, which has a short form. Raises `InvalidData` where both are given."""
    if validation is not None and split is not None:
        raise InvalidData(POINTER, "is given beside validation, its short form: leave one of them out")
    return split or validation or Everything()
