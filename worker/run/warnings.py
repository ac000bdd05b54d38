"""Warnings that a job gets while it trains: about its data, undefined metrics, and a loss that grew."""

import math
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from statistics import fmean
from typing import Any

from core.nn.training.options import Epoch, Step
from core.nn.training.stopping import is_undefined
from core.warnings import WarningMessage, bounded

GROWTH = 2.0
"""The factor of the first epoch's loss above which the last one has grown."""
GROWTH_WITHIN_AN_EPOCH = 10.0
"""The same within the only epoch of a job, whose losses are those of single batches and vary more."""
COMPARED_STEPS = 5
"""The number of steps at the beginning and at the end of such an epoch whose mean losses are compared."""


class RunWarnings:
    """The warnings of a job, those from before this run included; each is added once, also after a resume.

    Parameters
    ----------
    stored
        The warnings in the job's row.
    read_first
        Reads the first losses, of epochs (`epoch_loss`) or steps (`loss`), from the stored rows: at most as many as
        asked. Called once at most, for a run that resumes.
    rate_pointer
        Where the spec has the learning rate.
    """

    def __init__(
        self,
        stored: Iterable[Sequence[Any]],
        read_first: Callable[[str, int], list[float]],
        rate_pointer: str = "/optimizer/learning_rate",
    ) -> None:
        self._rate_pointer = rate_pointer
        self._found = [WarningMessage(*warning) for warning in stored]
        self._read_first = read_first
        self._epochs = _FirstAndLast(1)
        self._steps = _FirstAndLast(COMPARED_STEPS)
        self._changed = False

    def add(self, warnings: Iterable[WarningMessage]) -> None:
        """Add warnings that are not there yet."""
        known = {(code, pointer) for code, pointer, _ in self._found}
        new = [warning for warning in warnings if (warning.code, warning.pointer) not in known]
        if new:
            self._found = bounded([*self._found, *new])
            self._changed = True

    def see(self, items: Iterable[Step | Epoch]) -> None:
        """Add what these epochs show. It may be called again with the same ones."""
        for item in items:
            if isinstance(item, Epoch):
                self.add(_undefined(item))
                self._epochs.see(item.epoch, item.metrics["loss"])
            else:
                self._steps.see(item.step, item.loss)

    def end(self) -> None:
        """Add what the whole training shows, however it ended."""
        if self._epochs.count > 1:
            first = self._epochs.first or self._read_first("epoch_loss", 1)
            self._compare(first, self._epochs.last, GROWTH, "in the first epoch", "in the last one")
        elif self._steps.count >= 2 * COMPARED_STEPS:
            first = self._steps.first or self._read_first("loss", COMPARED_STEPS)
            self._compare(first, self._steps.last, GROWTH_WITHIN_AN_EPOCH, "in the first steps", "in the last ones")

    def columns(self) -> dict[str, Any]:
        """Return the column of the job's row; empty while nothing was added."""
        return {"warnings": list(map(list, self._found))} if self._changed else {}

    def _compare(self, before: Sequence[float], after: Sequence[float], factor: float, first: str, last: str) -> None:
        if not before or not after:
            return
        loss, grown = fmean(before), fmean(after)
        if grown > factor * loss > 0 and math.isfinite(grown):
            message = f"the training loss grew from {loss:.6g} {first} to {grown:.6g} {last}"
            remedy = "choose a smaller learning rate, clip_by_norm, or inputs and targets on a smaller scale"
            self.add([WarningMessage("loss_grew", self._rate_pointer, f"{message}: {remedy}")])


class _FirstAndLast:
    """The first and the last losses of the epochs or steps of a job; the first are unknown to a run that resumes."""

    def __init__(self, kept: int) -> None:
        self.count = 0
        """The number of the last one, from 1."""
        self.first: list[float] = []
        self.last: deque[float] = deque(maxlen=kept)
        self._kept = kept

    def see(self, number: int, loss: float) -> None:
        """Take the loss of an epoch or step; one that was seen before changes nothing."""
        if number <= self.count:
            return
        if number == len(self.first) + 1 <= self._kept:
            self.first.append(loss)
        self.last.append(loss)
        self.count = number


def _undefined(epoch: Epoch) -> Iterable[WarningMessage]:
    names = [name for name, value in epoch.metrics.items() if is_undefined(name, value)]
    if names:
        several = f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} not defined on these rows"
        why = "such as an area under a curve where all rows are of one class, or r2 of a single row"
        remedy = "hold out more rows, or stratify the split"
        message = f"{several}, {why}; the value is null, and no rule counts such an epoch: {remedy}"
        yield WarningMessage("metric_undefined", "/training/metrics", message)
