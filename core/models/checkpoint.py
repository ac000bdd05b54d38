"""Checkpoint files: a training's state, and the model for predictions.

The arrays are safetensors; everything else is JSON in the header. Reading a file therefore runs no code.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from core import VERSION
from core.nn.arrays import Array
from core.nn.network import Network
from core.nn.optimizers.slots import slot_lengths
from core.nn.optimizers.wrappers import Optimizer
from core.nn.step.state import State
from core.versions import UnknownVersion

Which: TypeAlias = Literal["best", "last"]
"""The weights of the best epoch, or the last ones."""

FORMAT = "chainrule-checkpoint/2"
"""A version that changes the format raises `core.versions.VOCABULARY`."""
FORMATS = "chainrule-checkpoint/"
"""The beginning of the name of every format."""


class DamagedCheckpoint(ValueError):
    """The bytes are not a checkpoint of this service: use the checkpoint before it."""


class UnknownCheckpoint(UnknownVersion):
    """The checkpoint was written by another version of this service, and this version cannot use it."""

    def __init__(self, writer: str | None, cause: str) -> None:
        by = f"version {writer}" if writer else "a version before 0.2.0"
        super().__init__(f"{by} wrote the checkpoint, and this is version {VERSION}: {cause}")


@dataclass(frozen=True, slots=True)
class CheckpointData:
    """The content of a checkpoint file."""

    arrays: Mapping[str, Array]
    counters: Mapping[str, Any]
    model: Mapping[str, Any]
    """The description that `core.models.model.describe` returns: what a prediction needs besides the weights."""
    run_info: Mapping[str, Any]
    """What the worker adds: rows emitted, and what it computed with."""
    version: str | None = None
    """The version that wrote the file; None for versions before 0.2.0."""

    def weights_and_statistics(self, which: Which) -> tuple[Array, Array]:
        """Return the weights and moving statistics; before the end of the first epoch, `best` is `last`."""
        prefix = "best_" if which == "best" and self.counters["best"] else ""
        return self.arrays[f"{prefix}weights"], self.arrays[f"{prefix}statistics"]

    def position(self, which: Which) -> dict[str, int]:
        """Return `step` and `epoch` at which these weights were as they are; of the best ones, when they were best."""
        counters = (self.counters["best"] if which == "best" else None) or self.counters
        return {"step": counters["step"], "epoch": counters["epoch"]}

    def state(self, *, copy: bool = True) -> State:
        """Return the training's state, with its own copy of the arrays, or with these themselves.

        Raises
        ------
        UnknownCheckpoint
            If parts of it are missing.
        """
        with self.known("state"):
            return State.restore(self.arrays, self.counters, copy=copy)

    def state_of(self, network: Network, optimizer: Optimizer, *, copy: bool = True) -> State:
        """Return the state of a training of this network by this optimizer, as `state` does.

        Raises
        ------
        UnknownCheckpoint
            If it has other parts than in this version.
        """
        state = self.state(copy=copy)
        with self.known("state"):
            lengths = slot_lengths(optimizer.slots(), network.shapes)
            if {name: len(slot) for name, slot in state.slots.items()} != lengths:
                raise ValueError("the optimizer has other state vectors in this version")
            if (len(state.weights), len(state.statistics)) != (network.parameters, network.statistics_size):
                raise ValueError("the network has other weights in this version")
        return state

    @contextmanager
    def known(self, part: str) -> Iterator[None]:
        """Raise an error about a missing or unknown part of the file as `UnknownCheckpoint`."""
        try:
            yield
        except (LookupError, TypeError, AttributeError, ValueError) as error:
            raise UnknownCheckpoint(self.version, f"its {part} is not known here") from error


def encode(state: State, model: Mapping[str, Any], run_info: Mapping[str, Any]) -> bytes:
    """Return the bytes of the file; `model` and `run_info` are JSON."""
    header = {
        "format": FORMAT,
        "version": VERSION,
        "counters": state.counters(),
        "model": model,
        "run_info": run_info,
    }
    arrays = {name: np.ascontiguousarray(array) for name, array in state.arrays().items()}
    return save(arrays, {"chainrule": json.dumps(header, allow_nan=True)})


def decode(data: bytes) -> CheckpointData:
    """Return the content of a file from `encode`.

    Raises
    ------
    UnknownCheckpoint
        For a file in the format of another version.
    DamagedCheckpoint
        For any other bytes.
    """
    try:
        (length,) = struct.unpack("<Q", data[:8])
        header = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["chainrule"])
        arrays, version = load(data), header.get("version")
        if header["format"] == FORMAT:
            return CheckpointData(arrays, header["counters"], header["model"], header["run_info"], version)
        found = str(header["format"])
    except (KeyError, TypeError, AttributeError, ValueError, struct.error, SafetensorError) as error:
        raise DamagedCheckpoint(str(error)) from error
    if found.startswith(FORMATS):
        raise UnknownCheckpoint(version, f"only the format {FORMAT} can be read, and this one is {found:.50}")
    raise DamagedCheckpoint(f"the format is {found!r:.50}, but only {FORMAT} can be read")


def weights_sha256(state: State) -> str:
    """Return the SHA-256 of the weight vector, which is equal where two trainings are equal bit for bit."""
    return hashlib.sha256(state.weights.tobytes()).hexdigest()
