"""The one place that knows of `core.nn.execution`, which is optional: without it the same steps run, slower."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from core.nn.arrays import Array, Mask
from core.nn.losses import Loss
from core.nn.network import Network
from core.nn.plan import Views
from core.nn.step.context import PassContext
from core.nn.step.state import State
from core.nn.step.step import Update, training_step


class Stepper(Protocol):
    """Takes the steps of one training."""

    @property
    def views(self) -> Views:
        """The layers' views of the flat vectors."""

    def step(self, x: Array, targets: Any, ctx: PassContext, update: Update) -> tuple[Array, Any]:
        """Take one step as `training_step` does; return the outputs and the loss, both before the update."""

    def close(self) -> None:
        """Release processes and memory, if there are any; they are also released with the object."""


@dataclass(frozen=True, slots=True)
class PlainStepper:
    """Takes steps by `training_step` itself."""

    network: Network
    loss: Loss
    views: Views

    def step(self, x: Array, targets: Any, ctx: PassContext, update: Update) -> tuple[Array, Any]:
        """Take one step."""
        return training_step(self.network, self.loss, update, x, targets, self.views, ctx)

    def close(self) -> None:
        """Release nothing."""


RowPredictor: TypeAlias = Callable[[Array, Callable[[Array, Mask | None], Array]], Array]
"""From a row `(1, *input_shape)` and a function of outputs and mask to what that function returns."""


class Accelerators(Protocol):
    """The functions of `core.nn.execution.accelerators`; those below say what they do."""

    def new_stepper(
        self, network: Network, loss: Loss, state: State, gradient: Array, *, rows: int, threads: int
    ) -> Stepper | None:
        """Return None where `PlainStepper` is as fast."""

    def new_row_predictor(self, network: Network, views: Views, dtype: Any) -> RowPredictor | None:
        """Return None where `Network.forward` is as fast."""

    def extra_step_bytes(self, network: Network, rows: int, threads: int) -> int:
        """Return bytes."""


def _load_accelerators() -> Accelerators | None:
    try:
        from core.nn.execution import accelerators  # noqa: PLC0415  # optional
    except ModuleNotFoundError as error:
        if error.name != "core.nn.execution":
            raise
        return None
    return accelerators


accelerators = _load_accelerators()


def new_stepper(network: Network, loss: Loss, state: State, gradient: Array, *, rows: int, threads: int) -> Stepper:
    """Return the fastest stepper for batches of up to so many rows on so many threads.

    It may move the arrays of `state` to shared memory: make views of them afterwards. Raises `MemoryError`.
    """
    found = accelerators and accelerators.new_stepper(network, loss, state, gradient, rows=rows, threads=threads)
    return found or PlainStepper(network, loss, network.views(state.weights, state.statistics, gradient))


def new_row_predictor(network: Network, views: Views, dtype: Any) -> RowPredictor | None:
    """Return a faster forward pass for single rows, if there is one for this network."""
    return None if accelerators is None else accelerators.new_row_predictor(network, views, dtype)


def extra_step_bytes(network: Network, rows: int, threads: int) -> int:
    """Return the bytes that a step takes beyond those of `PlainStepper`, in float32."""
    return 0 if accelerators is None else accelerators.extra_step_bytes(network, rows, threads)
