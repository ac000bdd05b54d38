"""Which rows a training leaves: the one deterministic stream that a job is judged by.

Nothing here depends on a clock, so that a job that was interrupted leaves the same rows as one that was not.
"""

from dataclasses import dataclass
from typing import NamedTuple

from core.nn.training import Epoch, Step, Training

MOST = 10_000
"""How many steps, and how many epochs, leave rows at most, unless the client says otherwise."""


class Row(NamedTuple):
    """One number at one step."""

    step: int
    epoch: int
    split: str
    name: str
    value: float


@dataclass(frozen=True, slots=True)
class Cadence:
    """Every how many steps, and epochs, a row is left; the first of each always leaves one."""

    steps: int
    epochs: int

    @staticmethod
    def of(training: Training, rows: int) -> "Cadence":
        """The client's wish, or whatever leaves no more than `MOST` of each; `rows` are those trained on."""
        return Cadence(training.log_every or -(-training.steps(rows) // MOST), -(-training.epochs // MOST))

    def rows(self, item: Step | Epoch) -> list[Row]:
        """The rows of one step or epoch, in their order."""
        if isinstance(item, Step):
            due = (item.step - 1) % self.steps == 0
            return [Row(item.step, item.epoch, "train", "loss", item.loss)] if due else []
        if (item.epoch - 1) % self.epochs and not item.stop:
            return []
        return [Row(item.step, item.epoch, split, name, value) for split, name, value in _of_epoch(item)]


def _of_epoch(epoch: Epoch) -> list[tuple[str, str, float]]:
    """The epoch's mean training loss has a name of its own, since `loss` is that of each step."""
    named = [
        ("validation" if name.startswith("val_") else "train", "epoch_loss" if name == "loss" else name, value)
        for name, value in epoch.metrics.items()
    ]
    return [*named, ("train", "learning_rate", epoch.learning_rate)]
