"""Warnings that a job gets while it trains: about its data, undefined metrics, and a loss that grew."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from core.nn.training.options import Epoch, Step
from core.nn.training.stopping import is_undefined
from core.warnings import WarningMessage, bounded

GROWTH = 2.0
"""The factor of the first epoch's loss above which the last one has grown."""


class RunWarnings:
    """The warnings of a job, those from before this run included; each is added once, also after a resume.

    Parameters
    ----------
    stored
        The warnings in the job's row.
    read_first_loss
        Reads the loss of the first epoch from the stored rows; called once at most, for a run that resumes.
    rate_pointer
        Where the spec has the learning rate.
    """

    def __init__(
        self,
        stored: Iterable[Sequence[Any]],
        read_first_loss: Callable[[], float | None],
        rate_pointer: str = "/optimizer/learning_rate",
    ) -> None:
        self._rate_pointer = rate_pointer
        self._found = [WarningMessage(*warning) for warning in stored]
        self._read_first_loss = read_first_loss
        self._first_loss: float | None = None
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
                self._watch_loss(item)

    def columns(self) -> dict[str, Any]:
        """Return the column of the job's row; empty while nothing was added."""
        return {"warnings": list(map(list, self._found))} if self._changed else {}

    def _watch_loss(self, epoch: Epoch) -> None:
        loss = epoch.metrics["loss"]
        if epoch.epoch == 1:
            self._first_loss = loss
        if not epoch.stop or epoch.epoch == 1:
            return
        first = self._first_loss if self._first_loss is not None else self._read_first_loss()
        if first is not None and loss > GROWTH * first > 0 and math.isfinite(loss):
            message = f"the training loss grew from {first:.6g} in the first epoch to {loss:.6g} in the last one"
            remedy = "choose a smaller learning rate, clip_by_norm, or inputs and targets on a smaller scale"
            self.add([WarningMessage("loss_grew", self._rate_pointer, f"{message}: {remedy}")])


def _undefined(epoch: Epoch) -> Iterable[WarningMessage]:
    names = [name for name, value in epoch.metrics.items() if is_undefined(name, value)]
    if names:
        several = f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} not defined on these rows"
        why = "such as an area under a curve where all rows are of one class, or r2 of a single row"
        remedy = "hold out more rows, or stratify the split"
        message = f"{several}, {why}; the value is null, and no rule counts such an epoch: {remedy}"
        yield WarningMessage("metric_undefined", "/training/metrics", message)
