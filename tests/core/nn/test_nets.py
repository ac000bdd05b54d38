"""Well-known architectures are specs of less than forty lines, and they learn."""

import numpy as np
import pytest
from pydantic import TypeAdapter

from core.nn.arrays import Array
from core.nn.layers.composite import Sequential
from core.nn.losses import Loss
from core.nn.losses.categorical import CrossEntropy
from core.nn.losses.regression import MeanSquaredError
from core.nn.optimizers.adam import Adam
from core.nn.schedules import ConstantRate
from core.nn.training.options import Step, Training
from tests.core.nn.trainings import ATraining, Rows

RESNET = """{"layers": [
  {"type": "conv2d", "filters": 8, "kernel_size": 3, "padding": "same", "use_bias": false},
  {"type": "batch_normalization", "momentum": 0.9},
  {"type": "activation", "activation": "relu"},
  {"type": "repeat", "n": 2, "layer": {"type": "residual", "layer": {"type": "sequential", "layers": [
    {"type": "conv2d", "filters": 8, "kernel_size": 3, "padding": "same", "activation": "relu"},
    {"type": "conv2d", "filters": 8, "kernel_size": 3, "padding": "same"},
    {"type": "batch_normalization", "momentum": 0.9}]}}},
  {"type": "residual",
   "projection": {"type": "conv2d", "filters": 16, "kernel_size": 1, "strides": 2},
   "layer": {"type": "sequential", "layers": [
    {"type": "conv2d", "filters": 16, "kernel_size": 3, "strides": 2, "padding": "same", "activation": "relu"},
    {"type": "conv2d", "filters": 16, "kernel_size": 3, "padding": "same"}]}},
  {"type": "activation", "activation": "relu"},
  "global_average_pooling2d",
  {"type": "dense", "units": 2}]}"""

UNET = """{"layers": [
  {"type": "conv2d", "filters": 4, "kernel_size": 3, "padding": "same", "activation": "relu"},
  {"type": "parallel", "merge": "concatenate", "branches": [
    {"type": "activation", "activation": "linear"},
    {"type": "sequential", "layers": [
      "max_pooling2d",
      {"type": "conv2d", "filters": 8, "kernel_size": 3, "padding": "same", "activation": "relu"},
      {"type": "parallel", "merge": "concatenate", "branches": [
        {"type": "activation", "activation": "linear"},
        {"type": "sequential", "layers": [
          "max_pooling2d",
          {"type": "conv2d", "filters": 8, "kernel_size": 3, "padding": "same", "activation": "relu"},
          "up_sampling2d"]}]},
      {"type": "conv2d", "filters": 8, "kernel_size": 3, "padding": "same", "activation": "relu"},
      "up_sampling2d"]}]},
  {"type": "conv2d", "filters": 1, "kernel_size": 1}]}"""

MIXER = """{"layers": [
  {"type": "conv2d", "filters": 8, "kernel_size": 2, "strides": 2},
  {"type": "reshape", "target_shape": [16, 8]},
  {"type": "repeat", "n": 2, "layer": {"type": "sequential", "layers": [
    {"type": "residual", "layer": {"type": "sequential", "layers": [
      "layer_normalization",
      {"type": "permute", "dims": [2, 1]},
      {"type": "dense", "units": 16, "activation": "gelu"},
      {"type": "dense", "units": 16},
      {"type": "permute", "dims": [2, 1]}]}},
    {"type": "residual", "layer": {"type": "sequential", "layers": [
      "layer_normalization",
      {"type": "dense", "units": 16, "activation": "gelu"},
      {"type": "dense", "units": 8}]}}]}},
  "global_average_pooling1d",
  {"type": "dense", "units": 2}]}"""

WAVENET = """{"layers": [
  {"type": "reshape", "target_shape": [64, 1]},
  {"type": "conv1d", "filters": 8, "kernel_size": 2, "padding": "causal"},
  {"type": "residual", "layer": {"type": "parallel", "merge": "multiply", "branches": [
    {"type": "conv1d", "filters": 8, "kernel_size": 2, "padding": "causal", "dilation_rate": 2, "activation": "tanh"},
    {"type": "conv1d", "filters": 8, "kernel_size": 2, "padding": "causal", "dilation_rate": 2,
     "activation": "sigmoid"}]}},
  {"type": "residual", "layer": {"type": "parallel", "merge": "multiply", "branches": [
    {"type": "conv1d", "filters": 8, "kernel_size": 2, "padding": "causal", "dilation_rate": 8, "activation": "tanh"},
    {"type": "conv1d", "filters": 8, "kernel_size": 2, "padding": "causal", "dilation_rate": 8,
     "activation": "sigmoid"}]}},
  "global_max_pooling1d",
  {"type": "dense", "units": 2}]}"""


def squares(rows: int = 64) -> tuple[Array, Array]:
    """Return noisy images 8 × 8 with a bright square of one of two sizes, and the images without noise."""
    rng = np.random.default_rng(0)
    clean = np.zeros((rows, 8, 8, 1), np.float32)
    for row in range(rows):
        side = 2 + 2 * (row % 2)
        top, left = rng.integers(0, 9 - side, 2)
        clean[row, top : top + side, left : left + side] = 1
    noise: Array = rng.normal(0, 0.2, clean.shape).astype(np.float32)
    return clean + noise, clean


@pytest.mark.parametrize(
    ("spec", "loss"),
    [(RESNET, CrossEntropy()), (UNET, MeanSquaredError()), (MIXER, CrossEntropy()), (WAVENET, CrossEntropy())],
    ids=["resnet", "unet", "mixer", "wavenet"],
)
def test_nested_architecture_learns(spec: str, loss: Loss) -> None:
    assert len(spec.splitlines()) < 40
    noisy, clean = squares()
    y = clean if isinstance(loss, MeanSquaredError) else np.arange(len(noisy)) % 2
    training = Training(epochs=30, batch_size=16, metrics=())
    net = TypeAdapter(Sequential).validate_json(spec)
    optimizer = Adam(learning_rate=ConstantRate(learning_rate=0.01))
    losses = [
        item.loss for item in ATraining(Rows(noisy, y), net, loss, optimizer, training).run() if isinstance(item, Step)
    ]
    assert np.mean(losses[-4:]) < 0.4 * np.mean(losses[:4])
