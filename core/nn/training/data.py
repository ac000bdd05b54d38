"""The data of a training: arrays of rows, from any source."""

from typing import Any, Protocol

from core.nn.arrays import Array


class Data(Protocol):
    """What is learnt from: rows of inputs and targets, and those that are kept back for validation."""

    @property
    def x(self) -> Array:
        """`(rows, *input_shape)`, float32."""

    @property
    def y(self) -> Any:
        """`(rows, …)`: numbers, or class numbers `(rows,)`."""

    @property
    def x_validation(self) -> Array | None:
        """As `x`, if any rows are kept back."""

    @property
    def y_validation(self) -> Any:
        """As `y`, if any rows are kept back."""

    @property
    def sample_weight(self) -> Array | None:
        """How much each row counts in the loss, `(rows,)`; None: all alike."""

    @property
    def sample_weight_validation(self) -> Array | None:
        """As `sample_weight`, if any rows are kept back."""

    @property
    def lengths(self) -> Any:
        """How many steps each row of `x` has, `(rows,)`, where they are padded after them; None: all."""
