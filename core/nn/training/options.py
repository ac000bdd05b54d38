"""What a job says of its training, and what comes of each step and each epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, NamedTuple

from annotated_types import Ge, Gt, Le, Lt

from core.nn.insight.step_inspection import Path
from core.nn.metrics import Metric
from core.nn.metrics.base import Table
from core.nn.training.mixup import Mixup
from core.nn.training.stopping import Convergence, EarlyStopping, ReduceLrOnPlateau, TargetMetric


@dataclass(frozen=True, kw_only=True, slots=True)
class Training:
    """How long and in which portions to train, and when to stop."""

    epochs: Annotated[int, Ge(1), Le(10_000_000)] = 10
    """How often every row is seen."""
    batch_size: Annotated[int, Ge(1)] = 32
    """How many rows make one step."""
    shuffle: bool = True
    """See the rows in another order at each epoch."""
    bucket_by_length: bool = False
    """Have rows of similar lengths in a batch, cut to a quarter, a half or three quarters of the steps where that is
    enough; for data that is padded after its steps."""
    mixup: Mixup | None = None
    """Learn from mixtures of two rows each; the loss and the metrics of the training rows are then those of the
    mixtures, a validation and a look inside have the rows themselves; left out: from the rows as they are."""
    seed: Annotated[int, Ge(0), Lt(2**63)] = 0
    """What all chance comes from: the same seed gives the same numbers."""
    metrics: tuple[Metric, ...] | None = None
    """What to measure beside the loss; left out: accuracy for classes, mean absolute error for numbers."""
    inspect_every: Annotated[int, Ge(1)] | None = None
    """After every n-th epoch look inside the step that the first `batch_size` rows would make, and measure each layer:
    `layers/0/output/std`, `layers/0/dead`, `layers/0/gradient/norm`, `layers/0/kernel/update_ratio` and their like;
    of a repeated layer the last copy's; left out: never."""
    log_every: Annotated[int, Ge(1)] | None = None
    """Keep the loss of every n-th step; left out: so that some 10,000 rows remain at most."""
    early_stopping: EarlyStopping | None = None
    """Stop when a metric gets no better."""
    reduce_lr_on_plateau: ReduceLrOnPlateau | None = None
    """Lower the learning rate when a metric gets no better."""
    target: TargetMetric | None = None
    """Stop when a metric is good enough."""
    convergence: Convergence | None = None
    """Stop when the loss stands still."""
    max_runtime: Annotated[float, Gt(0)] | None = None
    """Stop after so many seconds of training."""

    def steps(self, rows: int) -> int:
        """How many steps all epochs over `rows` rows take."""
        return self.epochs * -(-rows // self.batch_size)


class Step(NamedTuple):
    """One step was taken: the loss is that before the update."""

    step: int
    epoch: int
    loss: float
    learning_rate: float


class Epoch(NamedTuple):
    """Every row was seen once more; `stop` says why the training ends here, if it does."""

    step: int
    epoch: int
    metrics: dict[str, float]
    learning_rate: float
    stop: str | None
    tables: Mapping[str, Table] = MappingProxyType({})
    """What of the metrics is no single number."""


class Diverged(ArithmeticError):
    """The loss or the gradient is no finite number any more. The step was not taken: the weights are the last good.

    `path` leads to the first layer whose output is not finite, and `rows` are those of the training rows that did it,
    by their number from 0; both are empty where all outputs are finite.
    """

    def __init__(
        self, step: int, epoch: int, where: str, loss: float, *, path: Path = (), rows: tuple[int, ...] = ()
    ) -> None:
        told = f", for training row {', '.join(map(str, rows[:5]))}{' and others' * (len(rows) > 5)}" if rows else ""
        super().__init__(
            f"step {step}: {where} is not finite any more{told} (the loss was {loss:.6g}): "
            "try a smaller learning rate, clip_by_norm, or inputs on a smaller scale"
        )
        self.step, self.epoch, self.where, self.loss, self.path, self.rows = step, epoch, where, loss, path, rows
