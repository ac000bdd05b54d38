"""Selection of the metric rows that a training writes.

The selection is deterministic and does not depend on a clock, so an interrupted job writes the same rows as an
uninterrupted one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

from core.nn.metrics import VALUE_NAMES
from core.nn.training.options import Epoch, Step, Training

MAX_STEP_ROWS = 10_000
"""Steps that write a row at most, unless the spec gives `log_every`."""
MAX_EPOCHS_WITH_ROWS = 10_000
"""Epochs that write rows at most."""

SPLITS: Mapping[str, str] = MappingProxyType({"val_": "validation", "test_": "test"})
"""Splits by the beginning of their metrics' names; the training's have none."""

Row: TypeAlias = tuple[int, int, str, str, float]
"""A metric row: step, epoch, split, name, value. A plain tuple, since each step of a training may write one."""


@dataclass(frozen=True, slots=True)
class Cadence:
    """Intervals at which rows are written: every n-th step and every n-th epoch, beginning with the first of each."""

    steps: int
    epochs: int

    @staticmethod
    def of(training: Training, train_rows: int) -> "Cadence":
        """Return the cadence that the spec asks for, or the smallest that stays within the limits above."""
        return Cadence(
            training.log_every or -(-training.steps(train_rows) // MAX_STEP_ROWS),
            -(-training.epochs // MAX_EPOCHS_WITH_ROWS),
        )

    def max_rows(self, training: Training, train_rows: int, metrics: int, *, tested: bool = False) -> int:
        """Return how many rows a whole training writes at most, with this many metrics and without inspections.

        `tested` is whether test rows are measured at its end.
        """
        steps = -(-training.steps(train_rows) // self.steps)
        epochs = -(-training.epochs // self.epochs) + 1  # the last one always writes rows
        test = tested * (1 + metrics)
        return steps + epochs * (2 * (1 + metrics) + 1) + test

    def rows(self, items: Iterable[Step | Epoch]) -> list[Row]:
        """Return the rows of these steps and epochs, in order. The last epoch always writes rows."""
        found: list[Row] = []
        every = self.steps
        for item in items:
            if isinstance(item, Step):
                step, epoch, loss, _ = item
                if (step - 1) % every == 0:
                    found.append((step, epoch, "train", "loss", loss))
            elif item.stop or (item.epoch - 1) % self.epochs == 0:
                found += [(item.step, item.epoch, split, name, value) for split, name, value in _epoch_values(item)]
        return found


def _epoch_values(epoch: Epoch) -> list[tuple[str, str, float]]:
    """Return (split, name, value) of an epoch; its mean loss is `epoch_loss`, since `loss` is that of a step."""
    named = [(split_of(name), "epoch_loss" if name == "loss" else name, value) for name, value in epoch.metrics.items()]
    return [*named, ("train", "learning_rate", epoch.learning_rate)]


def split_of(name: str) -> str:
    """Return the split of a metric of an epoch, which the beginning of its name tells."""
    return next((split for prefix, split in SPLITS.items() if name.startswith(prefix)), "train")


def may_come(name: str) -> bool:
    """Return whether a training may write metric rows of this name at its next epoch."""
    plain = name.removeprefix("val_").removeprefix("test_")
    return plain in {"loss", "epoch_loss", "learning_rate", *VALUE_NAMES.values()} or name.startswith("layers/")
