"""Checkpoint files: a training's state, and the model for predictions.

The arrays are safetensors; everything else is JSON in the header. Reading a file therefore runs no code.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from core.nn.arrays import Array
from core.nn.step.state import State

Which: TypeAlias = Literal["best", "last"]
"""The weights of the best epoch, or the last ones."""

FORMAT = "chainrule-checkpoint/2"


class DamagedCheckpoint(ValueError):
    """The bytes are not a checkpoint of this service: use the checkpoint before it."""


@dataclass(frozen=True, slots=True)
class CheckpointData:
    """The content of a checkpoint file."""

    arrays: Mapping[str, Array]
    counters: Mapping[str, Any]
    model: Mapping[str, Any]
    """The description that `core.models.model.describe` returns: what a prediction needs besides the weights."""
    run_info: Mapping[str, Any]
    """What the worker adds: rows emitted, seconds of training, BLAS kernels."""

    def weights_and_statistics(self, which: Which) -> tuple[Array, Array]:
        """Return the weights and moving statistics; before the end of the first epoch, `best` is `last`."""
        prefix = "best_" if which == "best" and self.counters["best"] else ""
        return self.arrays[f"{prefix}weights"], self.arrays[f"{prefix}statistics"]

    def state(self) -> State:
        """Return the training's state, with its own copy of the arrays."""
        return State.restore(self.arrays, self.counters)


def encode(state: State, model: Mapping[str, Any], run_info: Mapping[str, Any]) -> bytes:
    """Return the bytes of the file; `model` and `run_info` are JSON."""
    header = {"format": FORMAT, "counters": state.counters(), "model": model, "run_info": run_info}
    arrays = {name: np.ascontiguousarray(array) for name, array in state.arrays().items()}
    return save(arrays, {"chainrule": json.dumps(header, allow_nan=True)})


def decode(data: bytes) -> CheckpointData:
    """Return the content of a file from `encode`.

    Raises
    ------
    DamagedCheckpoint
        For any other bytes.
    """
    try:
        (length,) = struct.unpack("<Q", data[:8])
        header = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["chainrule"])
        arrays = load(data)
        if header["format"] != FORMAT:
            raise DamagedCheckpoint(f"the format is {header['format']!r:.50}, but only {FORMAT} can be read")
        return CheckpointData(arrays, header["counters"], header["model"], header["run_info"])
    except (KeyError, TypeError, ValueError, struct.error, SafetensorError) as error:
        raise DamagedCheckpoint(str(error)) from error


def weights_sha256(state: State) -> str:
    """Return the SHA-256 of the weight vector, which is equal where two trainings are equal bit for bit."""
    return hashlib.sha256(state.weights.tobytes()).hexdigest()
