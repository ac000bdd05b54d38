"""Time of a fresh Python process to its first training step: the core beside PyTorch."""

import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from statistics import median

from benchmarks.outcome import Missing, Outcome, information
from benchmarks.service import ROOT

TIMES = 5
OURS = """
from types import SimpleNamespace
import numpy as np
from core.nn.layers.composite import Sequential
from core.nn.layers.dense import Dense
from core.nn.training.learner import Learner
from core.nn.losses.regression import MeanSquaredError
from core.nn.network import Network
from core.nn.optimizers.sgd import GradientDescent
from core.nn.step.state import start
from core.nn.training.options import Training
x = np.arange(1, 6, dtype=np.float32)[:, None]
held_out = [f"{field}_{part}" for field in ("x", "y", "sample_weight") for part in ("validation", "test")]
nothing = dict.fromkeys([*held_out, "sample_weight", "lengths"])
data = SimpleNamespace(x=x, y=2 * x, **nothing)
network, optimizer = Network(Sequential(layers=(Dense(units=1),)), (1,)), GradientDescent()
next(Learner(network, MeanSquaredError(), optimizer, Training(), data, start(network, optimizer, 0)).train())
"""
THEIRS = """
import torch
x = torch.arange(1.0, 6.0)[:, None]
model = torch.nn.Linear(1, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
torch.nn.functional.mse_loss(model(x), 2 * x).backward()
optimizer.step()
"""
TIMED = "import time; began = time.perf_counter(){}print(time.perf_counter() - began)"


def measure() -> Iterator[Outcome]:
    """Measure both, imports included, without a bound."""
    yield information("import of the core to its first step", _milliseconds(OURS), "ms", f"median of {TIMES}")
    if not find_spec("torch"):
        raise Missing("torch", "No module named 'torch'")
    yield information("import of PyTorch to its first step", _milliseconds(THEIRS), "ms", f"median of {TIMES}")


def _milliseconds(program: str) -> float:
    return median(_seconds(TIMED.format(program)) for _ in range(TIMES)) * 1000


def _seconds(program: str) -> float:
    command = [sys.executable, "-c", program]
    return float(subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=60).stdout)
