"""The interface of features: how the instances of a prediction become rows of x.

Features are stored beside the weights, so that a prediction takes records as they are in the dataset. Training and
prediction encode by the same code: the same record gives the same bits.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from core.warnings import WarningMessage

Instances = Sequence[Any] | NDArray[Any]
"""What a client sends to be predicted: records as JSON, or an array whose first axis counts them."""


class Encoded(NamedTuple):
    """Instances as the net takes them: x float32 (rows, *shape), and for each row its warnings."""

    x: NDArray[np.float32]
    warnings: list[list[WarningMessage]]


class InputFeatures(Protocol):
    """Encodes instances. Members are frozen dataclasses."""

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one row of x."""
        ...

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of a record's columns; none for arrays."""
        ...

    @property
    def reads_files(self) -> bool:
        """Whether instances have files to decode."""
        ...

    def encode(self, instances: Instances) -> Encoded:
        """Return the instances as rows of x. Raises `InvalidInstance` at the first that is wrong."""
        ...

    def transform(self, values: Any, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the chosen rows of loaded data as x."""
        ...

    def schema(self) -> dict[str, Any]:
        """Return the form of an instance."""
        ...

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON with the features' `type`, stored beside the weights."""
        ...

    @classmethod
    def from_json(cls, json: dict[str, Any]) -> Self:
        """Return the features that `to_json` wrote."""
        ...
