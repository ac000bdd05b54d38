"""A training at rest: all that it goes on from and all that a prediction needs, in one file.

The arrays are safetensors and the rest is JSON in its header, so that reading one can run no code.
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
"""The weights of the best epoch, or the newest."""

FORMAT = "chainrule-checkpoint/1"


class DamagedCheckpoint(ValueError):
    """The bytes are no checkpoint of this service: take the one before."""


@dataclass(frozen=True, slots=True)
class Saved:
    """What a checkpoint holds."""

    arrays: Mapping[str, Array]
    counters: Mapping[str, Any]
    model: Mapping[str, Any]
    """What a prediction needs beside the weights, as `core.models.model` wrote it."""
    notes: Mapping[str, Any]
    """What the worker wrote beside it: rows emitted, seconds spent, the machine."""

    def learnt(self, which: Which) -> tuple[Array, Array]:
        """Weights and moving statistics; before its first epoch ended, the best are the newest."""
        prefix = "best_" if which == "best" and self.counters["best"] else ""
        return self.arrays[f"{prefix}weights"], self.arrays[f"{prefix}statistics"]

    def state(self) -> State:
        """The training's state, with arrays of its own."""
        return State.restore(self.arrays, self.counters)


def encode(state: State, model: Mapping[str, Any], notes: Mapping[str, Any]) -> bytes:
    """The file's bytes; `model` and `notes` are JSON."""
    header = {"format": FORMAT, "counters": state.counters(), "model": model, "notes": notes}
    arrays = {name: np.ascontiguousarray(array) for name, array in state.arrays().items()}
    return save(arrays, {"chainrule": json.dumps(header, allow_nan=True)})


def decode(data: bytes) -> Saved:
    """What `encode` put in; anything else is a `DamagedCheckpoint`."""
    try:
        (length,) = struct.unpack("<Q", data[:8])
        header = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["chainrule"])
        arrays = load(data)
        if header["format"] != FORMAT:
            raise DamagedCheckpoint(f"the format is {header['format']!r:.50}, and {FORMAT} is known")
        return Saved(arrays, header["counters"], header["model"], header["notes"])
    except (KeyError, TypeError, ValueError, struct.error, SafetensorError) as error:
        raise DamagedCheckpoint(str(error)) from error


def weights_sha256(state: State) -> str:
    """The fingerprint of the weight vector: equal where two trainings are equal to the last bit."""
    return hashlib.sha256(state.weights.tobytes()).hexdigest()
