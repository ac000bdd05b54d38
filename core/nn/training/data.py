"""The data of a training, from any source."""

from typing import Any, Protocol

from core.nn.arrays import Array


class Data(Protocol):
    """Rows for training, validation and testing: inputs, targets, weights and lengths."""

    @property
    def x(self) -> Array:
        """Inputs of the training rows, `(rows, *input_shape)`, float32."""

    @property
    def y(self) -> Any:
        """Targets of the training rows: numbers `(rows, …)`, or class numbers `(rows,)`."""

    @property
    def x_validation(self) -> Array | None:
        """Inputs of the validation rows, as `x`; None without validation rows."""

    @property
    def y_validation(self) -> Any:
        """Targets of the validation rows, as `y`; None without validation rows."""

    @property
    def x_test(self) -> Array | None:
        """Inputs of the test rows, as `x`; None without test rows."""

    @property
    def y_test(self) -> Any:
        """Targets of the test rows, as `y`; None without test rows."""

    @property
    def sample_weight(self) -> Array | None:
        """Weight of each training row in the loss, `(rows,)`; None: all weights are 1."""

    @property
    def sample_weight_validation(self) -> Array | None:
        """Weight of each validation row, as `sample_weight`."""

    @property
    def sample_weight_test(self) -> Array | None:
        """Weight of each test row, as `sample_weight`."""

    @property
    def lengths(self) -> Any:
        """Steps of each row of `x` before its padding, `(rows,)`; None if rows are not padded after their steps."""
