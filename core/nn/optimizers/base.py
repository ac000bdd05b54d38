"""The base classes of all optimizers: the facts that a job is checked and planned with, and the learning rate."""

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from core.nn.arrays import Array
from core.nn.optimizers.slots import Slots, SlotSpecs
from core.nn.schedules import ConstantRate, Schedule
from core.nn.step.context import PassContext

Place: TypeAlias = tuple[str | int, ...]
"""The path of a field inside an optimizer: names and positions."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BaseOptimizer:
    """An optimizer: its state vectors, its update, and what it needs of the training loop."""

    type: str

    @property
    def full_batch(self) -> bool:
        """Whether each batch must contain all training rows."""
        return False

    @property
    def passes(self) -> int:
        """The number of forward and backward passes that one step makes on its batch."""
        return 1

    def patterns(self) -> Iterator[tuple[Place, str]]:
        """Return each pattern of weight names in the optimizer, with its place."""
        return iter(())

    @abstractmethod
    def slots(self) -> SlotSpecs:
        """Return the initial value of each state vector, by name."""

    @abstractmethod
    def update(self, weights: Array, gradient: Array, slots: Slots, step: int, rate: float, ctx: PassContext) -> None:
        """Take one step in place, at the learning rate `rate`. The gradient may be overwritten."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DirectOptimizer(BaseOptimizer):
    """An optimizer that updates the weights itself, with a learning rate of its own."""

    learning_rate: Schedule = field(default=ConstantRate(learning_rate=0.001))
    """The learning rate η: a number or a schedule."""
