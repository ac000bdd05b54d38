"""The options of a training, and what it yields for each step and each epoch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Annotated, NamedTuple

from annotated_types import Ge, Gt, Le, Lt, MaxLen

from core.nn.metrics import Metric
from core.nn.metrics.base import Table
from core.nn.plan import LayerPath
from core.nn.training.mixup import Mixup
from core.nn.training.stopping import Convergence, EarlyStopping, ReduceLrOnPlateau, Rule, TargetMetric

MAX_NAMED_ROWS = 5
"""Largest number of rows that the message of a divergence names."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Training:
    """Options of the training loop: epochs, batches, and stop rules."""

    epochs: Annotated[int, Ge(1), Le(10_000_000)] = 10
    """Passes over all training rows."""
    batch_size: Annotated[int, Ge(1)] = 32
    """Rows of one step."""
    shuffle: bool = True
    """Draw a new order of the rows for each epoch."""
    bucket_by_length: bool = False
    """Put rows of similar lengths into a batch, and cut it to a quarter, a half or three quarters of the steps where
    that is enough; for data that is padded after its steps."""
    mixup: Mixup | None = None
    """Train on mixtures of two rows each. The loss and the metrics of the training rows are then those of the mixtures;
    validation and inspection use the rows themselves. Default: no mixtures."""
    seed: Annotated[int, Ge(0), Lt(2**63)] = 0
    """The seed of all random numbers: the same seed gives the same results."""
    metrics: Annotated[tuple[Metric, ...], MaxLen(100)] | None = None
    """What to measure beside the loss; default: accuracy for classes, mean absolute error for numbers."""
    inspect_every: Annotated[int, Ge(1)] | None = None
    """After every n-th epoch inspect the step that the first `batch_size` rows would make, and measure each layer:
    `layers/0/output/std`, `layers/0/dead`, `layers/0/gradient/norm`, `layers/0/kernel/update_ratio` and more; of a
    repeated layer its last copy. Default: never."""
    log_every: Annotated[int, Ge(1)] | None = None
    """Store the loss of every n-th step; default: so that about 10,000 rows remain at most."""
    target: TargetMetric | None = None
    """Stop when a metric reaches a value."""
    convergence: Convergence | None = None
    """Stop when the loss no longer changes."""
    early_stopping: EarlyStopping | None = None
    """Stop when a metric no longer improves."""
    reduce_lr_on_plateau: ReduceLrOnPlateau | None = None
    """Lower the learning rate when a metric no longer improves."""
    max_runtime: Annotated[float, Gt(0)] | None = None
    """Stop after this many seconds of training, as the worker measures them."""

    def steps(self, rows: int) -> int:
        """Return the number of steps of all epochs over `rows` rows."""
        return self.epochs * -(-rows // self.batch_size)

    def rules(self) -> Iterator[tuple[str, Rule]]:
        """Yield the rules that run at the end of each epoch, by field, in the order in which they may stop it."""
        for one in fields(self):
            rule = getattr(self, one.name)
            if hasattr(rule, "update"):
                yield one.name, rule


class Step(NamedTuple):
    """Result of one step; the loss is that before the update."""

    step: int
    epoch: int
    loss: float
    learning_rate: float


class Epoch(NamedTuple):
    """Result of one epoch; `stop` is the reason if the training ends here."""

    step: int
    epoch: int
    metrics: dict[str, float]
    learning_rate: float
    stop: str | None
    tables: Mapping[str, Table] = MappingProxyType({})
    """Metrics that are tables, such as a confusion matrix."""


class Diverged(ArithmeticError):
    """The loss or a gradient is no longer finite. The step was not taken: the weights are the last finite ones.

    `path` leads to the first layer whose output is not finite, and `rows` are the numbers, from 0, of the training rows
    where it is not; both are empty where all outputs are finite.
    """

    def __init__(
        self, step: int, epoch: int, where: str, loss: float, *, path: LayerPath = (), rows: tuple[int, ...] = ()
    ) -> None:
        named = ", ".join(map(str, rows[:MAX_NAMED_ROWS])) + " and others" * (len(rows) > MAX_NAMED_ROWS)
        super().__init__(
            f"step {step}: {where} is not finite any more{f', for training row {named}' if rows else ''} "
            f"(the loss was {loss:.6g}): try a smaller learning rate, clip_by_norm, or inputs on a smaller scale"
        )
        self.step, self.epoch, self.where, self.loss, self.path, self.rows = step, epoch, where, loss, path, rows
