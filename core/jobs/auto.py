"""Specs without an architecture: a sensible net, loss, optimizer and training for the data, by its signature alone.

What is chosen is written into the spec, so that the job shows it, and a client can change it and post it again. What
the client says is kept.
"""

import math
from collections.abc import Mapping
from typing import Any, Literal

import pydantic_core

from core.data.prepare import Signature
from core.data.targets.classes import Classes
from core.data.targets.numbers import Numbers
from core.jobs.spec import JobSpec

AUTO = "auto"
"""What a spec says instead of an architecture."""
MAX_CLASS_IDS = 20
"""Different integers 0, 1, … up to which a target is taken for class ids."""
MIN_ROWS = 20
"""Rows from which some are held out."""
HELD_OUT = 0.2
"""The part of the rows that is held out."""
PATIENCE = 10
"""Epochs without improvement after which the training stops."""
STEPS = 10_000
"""Steps of a training at most, as far as the bounds of its epochs allow."""
MIN_EPOCHS = 5
MAX_EPOCHS = 200
WIDTHS = {200: 16, 2_000: 32, 20_000: 64, 200_000: 128}
"""Units of the first layer of a net on numbers, by the training rows below which it has them; 256 for more."""
BATCHES = {640: 16, 20_000: 32, 100_000: 128}
"""Rows of a batch, likewise; 256 for more."""
MIN_SIDE = 8
"""Height and width of pictures from which they are halved by pooling."""
MAX_FLATTENED = 64 * 64
"""Pixels up to which what convolutions leave of a picture is flattened, not averaged."""
MAX_CHANNELS = 4
"""Channels up to which three axes are a picture."""

Layers = list[dict[str, Any]]


class AutoSpec(JobSpec):
    """A job as posted, without an architecture: `completed` gives its text one before it is stored."""

    architecture: Literal["auto"] = AUTO  # type: ignore[assignment]  # in place of the one that all other specs have
    """`auto`: a net for the data is chosen."""


def asks_for_auto(text: bytes) -> bool:
    """Return whether a spec leaves its architecture out, or says `auto`."""
    if b'"architecture"' in text and b'"auto"' not in text:
        return False
    try:
        tree = pydantic_core.from_json(text)
    except ValueError:
        return False
    return isinstance(tree, dict) and tree.get("architecture", AUTO) == AUTO


def completed(text: bytes, signature: Signature) -> bytes:
    """Return a valid spec without an architecture as one that has all that matters: JSON as UTF-8."""
    tree: dict[str, Any] = pydantic_core.from_json(text)
    data, training = tree["data"], tree.get("training", {})
    splits = "validation" in data or "split" in data
    holds_out = splits or signature.rows >= MIN_ROWS
    if holds_out and not splits:
        tree["data"] = data | _held_out(signature)
    tree["architecture"] = {"layers": [*_body(signature), *_head(signature, tree.get("loss"))]}
    if (loss := _loss(signature)) is not None:
        tree.setdefault("loss", loss)
    tree.setdefault("optimizer", {"type": "adam", "learning_rate": 0.002 if _is_flat(signature) else 0.001})
    tree["training"] = _training(signature, holds_out) | training
    return pydantic_core.to_json(tree)


def _held_out(signature: Signature) -> Mapping[str, Any]:
    counts = signature.class_counts if isinstance(signature.target, Classes) else None
    stratify = counts is not None and min(counts) > 1
    return {"validation": {"fraction": HELD_OUT} | ({"stratify": True} if stratify else {})}


def _training(signature: Signature, holds_out: bool) -> dict[str, Any]:
    batch = _by_rows(BATCHES, signature.rows, 256)
    epochs = round(STEPS * batch / signature.rows)
    chosen: dict[str, Any] = {"epochs": min(max(epochs, MIN_EPOCHS), MAX_EPOCHS), "batch_size": batch}
    if holds_out:
        chosen["early_stopping"] = {"monitor": "val_loss", "patience": PATIENCE, "restore_best_weights": True}
    return chosen


def _is_flat(signature: Signature) -> bool:
    return signature.vocabulary is None and len(signature.input_shape) == 1


def _body(signature: Signature) -> Layers:
    """Return the layers before the outputs."""
    shape = signature.input_shape
    if signature.vocabulary is not None:
        return _on_ids(signature.vocabulary, shape[0])
    if len(shape) == 3 and shape[-1] <= MAX_CHANNELS:
        return _on_pictures(shape)
    if len(shape) == 2:
        return _on_sequences(shape)
    return [*([{"type": "flatten"}] if len(shape) > 1 else []), *_on_numbers(signature.rows)]


def _on_numbers(rows: int) -> Layers:
    width = _by_rows(WIDTHS, rows, 256)
    dropout = [{"type": "dropout", "rate": 0.1}] if rows >= 1_000 else []
    return [_dense(width), *dropout, _dense(max(8, width // 2))]


def _on_ids(vocabulary: int, length: int) -> Layers:
    """Return layers for a sequence of ids: an embedding, what is in any few of its steps, and the strongest of it."""
    return [
        {"type": "embedding", "input_dim": vocabulary, "output_dim": 32},
        {"type": "dropout", "rate": 0.2},
        {"type": "conv1d", "filters": 64, "kernel_size": min(5, length), "padding": "same", "activation": "relu"},
        {"type": "global_max_pooling1d"},
        _dense(32),
    ]


def _on_pictures(shape: tuple[int, ...]) -> Layers:
    """Return layers for (height, width, channels): convolutions and pooling until little is left of the sides."""
    layers: Layers = []
    side, filters = min(shape[:2]), 16
    while True:
        layers.append({"type": "conv2d", "filters": filters, "kernel_size": 3, "padding": "same", "activation": "relu"})
        if side < MIN_SIDE:
            break
        layers.append({"type": "max_pooling2d", "pool_size": 2})
        side, filters = side // 2, min(2 * filters, 64)
    last = {"type": "flatten"} if math.prod(shape[:2]) <= MAX_FLATTENED else {"type": "global_average_pooling2d"}
    return [*layers, last, _dense(64), {"type": "dropout", "rate": 0.2}]


def _on_sequences(shape: tuple[int, ...]) -> Layers:
    """Return layers for (steps, features), such as a spectrogram: two convolutions over time, and their mean."""
    kernel = min(5, shape[0])
    convolution = {"type": "conv1d", "filters": 64, "kernel_size": kernel, "padding": "same", "activation": "relu"}
    pooling: Layers = [{"type": "max_pooling1d", "pool_size": 2}] if shape[0] >= MIN_SIDE else []
    return [
        {"type": "layer_normalization"},
        convolution,
        *pooling,
        dict(convolution),
        {"type": "global_average_pooling1d"},
        {"type": "dropout", "rate": 0.2},
        _dense(64),
    ]


def _head(signature: Signature, loss: Any) -> Layers:
    """Return the last layers: a number for each class or value; numbers in their own unit."""
    target = signature.target
    if isinstance(target, Classes):
        return [{"type": "dense", "units": 1 if len(target.names) == 2 else len(target.names)}]
    if loss is None and _class_ids(target):
        return [{"type": "dense", "units": target.distinct if target.distinct != 2 else 1}]
    layers: Layers = [{"type": "dense", "units": math.prod(target.shape)}]
    if len(target.shape) > 1:
        layers.append({"type": "reshape", "target_shape": list(target.shape)})
    if signature.target_scale is not None:
        mean, std = (float(f"{number:.6g}") for number in signature.target_scale)
        layers.append({"type": "rescaling", "scale": std, "offset": mean})
    return layers


def _loss(signature: Signature) -> str | None:
    """Return the loss where it does not follow from the target's type: integers that are class ids."""
    target = signature.target
    if isinstance(target, Numbers) and _class_ids(target):
        return "binary_cross_entropy" if target.distinct == 2 else "cross_entropy"
    return None


def _class_ids(target: Numbers) -> bool:
    """Return whether a target is the integers 0, 1, … without a gap, and few."""
    different = target.distinct or 0
    few = 2 <= different <= MAX_CLASS_IDS and target.shape == (1,)
    return target.integers and few and (target.min, target.max) == (0, different - 1)


def _dense(units: int) -> dict[str, Any]:
    return {"type": "dense", "units": units, "activation": "relu"}


def _by_rows(table: Mapping[int, int], rows: int, otherwise: int) -> int:
    return next((value for below, value in table.items() if rows < below), otherwise)
