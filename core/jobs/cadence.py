"""Which rows a training leaves: the one deterministic stream that a job is judged by.

Nothing here depends on a clock, so that a job that was interrupted leaves the same rows as one that was not.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from core.nn.training.options import Epoch, Step, Training

MOST = 10_000
"""How many steps, and how many epochs, leave rows at most, unless the client says otherwise."""


Row: TypeAlias = tuple[int, int, str, str, float]
"""One number: step, epoch, split, name, value. A plain tuple, since each step of a training may leave one."""


@dataclass(frozen=True, slots=True)
class Cadence:
    """Every how many steps, and epochs, a row is left; the first of each always leaves one."""

    steps: int
    epochs: int

    @staticmethod
    def of(training: Training, rows: int) -> "Cadence":
        """The client's wish, or whatever leaves no more than `MOST` of each; `rows` are those trained on."""
        return Cadence(training.log_every or -(-training.steps(rows) // MOST), -(-training.epochs // MOST))

    def rows(self, items: Iterable[Step | Epoch]) -> list[Row]:
        """The rows of these steps and epochs, in their order."""
        found: list[Row] = []
        every = self.steps
        for item in items:
            if isinstance(item, Step):
                step, epoch, loss, _ = item
                if (step - 1) % every == 0:
                    found.append((step, epoch, "train", "loss", loss))
            elif item.stop or (item.epoch - 1) % self.epochs == 0:
                found += [(item.step, item.epoch, split, name, value) for split, name, value in _of_epoch(item)]
        return found


def _of_epoch(epoch: Epoch) -> list[tuple[str, str, float]]:
    """The epoch's mean training loss has a name of its own, since `loss` is that of each step."""
    named = [
        ("validation" if name.startswith("val_") else "train", "epoch_loss" if name == "loss" else name, value)
        for name, value in epoch.metrics.items()
    ]
    return [*named, ("train", "learning_rate", epoch.learning_rate)]
