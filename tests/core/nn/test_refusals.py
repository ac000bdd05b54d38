"""Each `ShapeMismatch` of a plan prevents an operation that fails or an output without meaning."""

import ast
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.nn.arrays import MAX_AXIS_LENGTH, Shape
from core.nn.constraints import MaxNorm
from core.nn.layers.attention import MultiHeadAttention
from core.nn.layers.augmentation.crop import RandomCrop
from core.nn.layers.augmentation.spec_augment import TimeMask
from core.nn.layers.composite import Bidirectional, Layer, Mixture, Parallel, Repeat, Residual, TimeDistributed
from core.nn.layers.convolution import Conv1D, Conv2D
from core.nn.layers.dense import Dense
from core.nn.layers.dropout import SpatialDropout
from core.nn.layers.embedding import Embedding
from core.nn.layers.gating import Glu
from core.nn.layers.masking import Masking
from core.nn.layers.normalization import BatchNormalization, GroupNormalization, LayerNormalization
from core.nn.layers.pooling import MaxPooling2D
from core.nn.layers.positional import PositionalEncoding, PositionEmbedding
from core.nn.layers.recurrent import Lstm
from core.nn.layers.reshaping import Flatten, Permute, RepeatVector, Reshape
from core.nn.layers.resizing import Cropping1D
from core.nn.network import Network
from core.nn.plan import ShapeMismatch
from harness.processes import ROOT
from tests.core.nn.cases import sequential
from tests.core.nn.random_specs import specs

ones = np.ones
BATCH = 2


class Refusal(NamedTuple):
    """A layer, the shape of a row that it refuses, a pattern of its message, and what it prevents.

    `prevents` is the operation of NumPy that would fail, on arrays of these shapes, or the reason why the output would
    have no meaning or could not be computed. `fits` is the nearest shape that the layer accepts; None if there is none.
    """

    layer: Layer
    shape: Shape
    message: str
    prevents: Callable[[], object] | str
    fits: Shape | None = None


def windows_of(length: int, size: int) -> Any:
    """Return the windows of this size along an axis of this length."""
    return np.lib.stride_tricks.sliding_window_view(ones((BATCH, length)), size, axis=1)


REFUSALS: list[Refusal] = [
    Refusal(Dense(units=3), (), r"dense\) needs \(…, inputs\)", lambda: ones(BATCH).sum(axis=1), (1,)),
    Refusal(LayerNormalization(), (), r"_normalization\) needs", lambda: ones(BATCH).mean(axis=1), (1,)),
    Refusal(
        BatchNormalization(center=False, scale=False), (), r"_normalization\) needs",
        "without scale and center, nothing tells the features from the rows", (1,)
    ),
    Refusal(SpatialDropout(rate=0.5), (), r"spatial_dropout\) needs", lambda: ones(BATCH).swapaxes(1, -1), (1,)),
    Refusal(
        TimeDistributed(layer=Flatten()), (), r"time_distributed\) needs", lambda: ones(BATCH).swapaxes(0, 1), (1,)
    ),
    Refusal(Conv1D(filters=1, kernel_size=1), (3,), "needs .*, channels", lambda: ones((BATCH, 3)).sum(axis=2), (3, 1)),
    Refusal(
        MaxPooling2D(), (4, 4), "needs .*, channels", "its width would be taken for channels", (4, 4, 1)
    ),
    Refusal(Conv1D(filters=1, kernel_size=4), (3, 1), "its window spans 4", lambda: windows_of(3, 4), (4, 1)),
    Refusal(
        Conv2D(filters=2, kernel_size=1, groups=2), (3, 3, 3), "a number of groups that divides both",
        lambda: np.split(ones((BATCH, 3, 3, 3)), 2, axis=-1), (3, 3, 2)
    ),
    Refusal(
        GroupNormalization(groups=2), (3,), "a number of groups that divides them",
        lambda: ones((BATCH, 3)).reshape(BATCH, 1, 2, -1), (4,)
    ),
    Refusal(
        Cropping1D(cropping=2), (4, 1), "would leave nothing", lambda: ones((BATCH, 4, 1))[:, 2:-2].max(axis=1), (5, 1)
    ),
    Refusal(Glu(), (3,), r"glu\) ", lambda: np.split(ones((BATCH, 3)), 2, axis=-1), (4,)),
    Refusal(Masking(), (4,), r"masking\) needs", lambda: ones((BATCH, 4)).any(axis=2), (4, 1)),
    Refusal(
        Embedding(input_dim=3, output_dim=2, mask_zero=True), (2, 3), r"embedding\) needs \(steps,\)",
        "its mask would have more axes than steps, which only some layers read", (2,)
    ),
    Refusal(
        PositionEmbedding(sequence_length=5), (6, 2), r"position_embedding\) has",
        lambda: ones((BATCH, 6, 2)) + ones((5, 2)), (5, 2)
    ),
    Refusal(
        PositionalEncoding(), (4,), r"positional_encoding\) needs|position_embedding\) needs",
        "its features would be taken for steps", (4, 1)
    ),
    Refusal(
        Lstm(units=2), (3,), r"(simple_rnn|lstm|gru)\) needs", lambda: ones((BATCH, 3)).transpose(1, 0, 2), (3, 1)
    ),
    Refusal(
        MultiHeadAttention(num_heads=1, key_dim=1), (4,), r"multi_head_attention\) needs",
        lambda: ones((BATCH, 4)).transpose(0, 2, 1), (4, 1)
    ),
    Refusal(
        MultiHeadAttention(num_heads=4, num_kv_heads=3, key_dim=1), (4, 2), "a multiple of num_kv_heads",
        lambda: ones((BATCH, 4)).reshape(BATCH, 3, -1),
    ),
    Refusal(
        MultiHeadAttention(num_heads=1, key_dim=3, rotary=True), (4, 2), "rotates pairs",
        lambda: np.split(ones((BATCH, 4, 3)), 2, axis=-1),
    ),
    Refusal(
        TimeMask(max_width=1), (4,), r"(time|frequency)_mask\) needs",
        "its features would be taken for steps", (4, 1)
    ),
    Refusal(
        TimeMask(max_width=5), (4, 2), "may mask 5", "a mask as long as the sequence would leave nothing of it", (5, 2)
    ),
    Refusal(
        RandomCrop(height=5, width=3), (4, 3, 1), r"random_crop\) gets",
        "pixels beyond the edge would be those of the next row", (5, 3, 1)
    ),
    Refusal(Reshape(target_shape=(4,)), (6,), "do not fill", lambda: ones((BATCH, 6)).reshape(BATCH, 4), (4,)),
    Refusal(Reshape(target_shape=(2, 0)), (6,), "do not fill", lambda: ones((BATCH, 6)).reshape(BATCH, 2, 0)),
    Refusal(Reshape(target_shape=(-1, -1)), (6,), "do not fill", lambda: ones((BATCH, 6)).reshape(BATCH, -1, -1)),
    Refusal(Permute(dims=(1, 3)), (2, 3), r"permute\) ", lambda: ones((BATCH, 2, 3)).transpose(0, 1, 3)),
    Refusal(
        RepeatVector(n=5), (4, 3), r"repeat_vector\) needs",
        lambda: np.copyto(np.empty((BATCH, 5, 3)), ones((BATCH, 4, 3))[:, None]), (4,)
    ),
    Refusal(
        Parallel(branches=(Dense(units=2), Flatten())), (4, 3), "to concatenate",
        lambda: np.concatenate([ones((BATCH, 4, 2)), ones((BATCH, 12))], axis=-1), (4,)
    ),
    Refusal(
        Parallel(branches=(Dense(units=2), Dense(units=3)), merge="add"), (3,), "to (add|multiply|average|gate)",
        lambda: np.add(ones((BATCH, 2)), ones((BATCH, 3))),
    ),
    Refusal(
        Parallel(branches=(Dense(units=2),), merge="gate"), (3,), "gets [1-9] branches to gate",
        "a gate mixes one or two branches",
    ),
    Refusal(
        Residual(layer=Dense(units=1)), (3,), r"residual\) gets",
        "NumPy would repeat the shorter output along the axis of the longer one", (1,)
    ),
    Refusal(
        Mixture(branches=(Dense(units=2), Dense(units=3)), gate=Dense(units=2)), (3,), "to mix",
        lambda: np.stack([ones((BATCH, 2)), ones((BATCH, 3))]),
    ),
    Refusal(
        Mixture(branches=(Dense(units=2), Dense(units=2)), gate=Dense(units=3)), (3,), "from its gate",
        lambda: np.stack([ones((BATCH, 2)), ones((BATCH, 2))], axis=1) * ones((BATCH, 3))[:, :, None],
    ),
    Refusal(
        Repeat(layer=Dense(units=2), n=2, shared=True), (3,), "and would then get",
        lambda: ones((BATCH, 3)) @ ones((3, 2)) @ ones((3, 2)), (2,)
    ),
    Refusal(
        Repeat(layer=Repeat(layer=Dense(units=2), n=1000), n=1000), (3,), "layers to plan: repeat less",
        "to plan them would take too long",
    ),
    Refusal(
        Parallel(branches=(Repeat(layer=Dense(units=2), n=9000),) * 2), (3,), "layers to plan: leave some out",
        "to plan them would take too long",
    ),
    Refusal(
        sequential(RepeatVector(n=MAX_AXIS_LENGTH), Flatten(), Dense(units=1), RepeatVector(n=MAX_AXIS_LENGTH),
                   Dense(units=MAX_AXIS_LENGTH), Flatten(), RepeatVector(n=MAX_AXIS_LENGTH)),
        (3,), "more than 2⁶² numbers", "no machine has so much memory",
    ),
    Refusal(
        Bidirectional(layer=Lstm(units=2)), (4,), r"bidirectional\) needs",
        "its features would be taken for steps", (4, 1)
    ),
    Refusal(
        Bidirectional(layer=sequential(Flatten(), Dense(units=1), Reshape(target_shape=()))), (2, 3),
        "single number from its layer", lambda: np.concatenate([ones(BATCH), ones(BATCH)], axis=1),
    ),
    Refusal(
        Dense(units=3, kernel_constraint=MaxNorm(axis=2)), (4,), "gets a constraint", lambda: ones((4, 3)).sum(axis=2)
    ),
]  # fmt: skip


def refusal_of(layer: Any, shape: Shape) -> ShapeMismatch | None:
    """Return the error of planning a layer; None if it fits."""
    try:
        Network(sequential(layer), shape)
    except ShapeMismatch as error:
        return error
    return None


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: f"{refusal.layer.type}{refusal.shape}")
def test_layer_that_does_not_fit_is_refused_with_its_message(refusal: Refusal) -> None:
    assert re.search(refusal.message, str(refusal_of(refusal.layer, refusal.shape)))


@pytest.mark.parametrize("refusal", [one for one in REFUSALS if one.fits], ids=lambda refusal: f"{refusal.layer.type}")
def test_layer_of_a_refusal_accepts_the_nearest_shape(refusal: Refusal) -> None:
    assert refusal.fits is not None
    assert refusal_of(refusal.layer, refusal.fits) is None


@pytest.mark.parametrize(
    "refusal", [one for one in REFUSALS if callable(one.prevents)], ids=lambda refusal: f"{refusal.layer.type}"
)
def test_operation_that_a_refusal_prevents_fails_in_numpy(refusal: Refusal) -> None:
    assert callable(refusal.prevents)
    with pytest.raises(ValueError, match=r"."):
        refusal.prevents()


@settings(max_examples=300, deadline=None, derandomize=True,
          suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])  # fmt: skip
@given(layer=specs(Layer), shape=st.lists(st.integers(1, 6), max_size=4).map(tuple))
def test_refusal_of_a_random_layer_is_in_the_table(layer: Any, shape: Shape) -> None:
    error = refusal_of(layer, shape)
    assert error is None or any(re.search(refusal.message, str(error)) for refusal in REFUSALS), str(error)


def raises_in_source() -> set[tuple[str, int]]:
    """Return file and first line of each `raise ShapeMismatch(…)` in plans and layers."""
    folder = ROOT / "core/nn"
    files = [folder / "plan.py", folder / "kernels/windows.py", *(folder / "layers").rglob("*.py")]
    return {(str(file), line) for file in files for line in _raise_lines(file)}


def _raise_lines(file: Path) -> list[int]:
    nodes = ast.walk(ast.parse(file.read_text("utf-8")))
    raises = [(node.lineno, node.exc) for node in nodes if isinstance(node, ast.Raise)]
    return [line for line, error in raises if error is not None and ast.unparse(error).startswith("ShapeMismatch(")]


def origin(error: BaseException) -> tuple[str, int]:
    """Return file and line where an error was first raised, before composites added its path."""
    while isinstance(error.__context__, ShapeMismatch):
        error = error.__context__
    traceback = error.__traceback__
    assert traceback is not None
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    return traceback.tb_frame.f_code.co_filename, traceback.tb_lineno


def test_every_refusal_in_the_source_has_a_row() -> None:
    errors = [refusal_of(refusal.layer, refusal.shape) for refusal in REFUSALS]
    assert {origin(error) for error in errors if error is not None} == raises_in_source()
