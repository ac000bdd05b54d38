"""Training and prediction give the same numbers without `core.nn.execution`."""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[4]

PROGRAM = """
import hashlib
import numpy as np
from core.nn.activations import Relu
from core.nn.layers.composite import Sequential
from core.nn.layers.dense import Dense
from core.nn.layers.normalization import BatchNormalization
from core.nn.losses.categorical import CrossEntropy
from core.nn.network import Network
from core.nn.optimizers.adam import Adam
from core.nn.optimizers.wrappers import SharpnessAware
from core.nn.predictor import Predictor
from core.nn.step import acceleration
from core.nn.step.state import start
from core.nn.training.learner import Learner
from core.nn.training.options import Training

class Data:
    x = np.random.default_rng(0).standard_normal((50, 4)).astype(np.float32)
    y = (x.sum(axis=1) > 0).astype(np.int64)
    x_validation, y_validation = x[:9], y[:9]
    sample_weight = sample_weight_validation = lengths = x_test = y_test = sample_weight_test = None

network = Network(Sequential(layers=(Dense(units=8, activation=Relu()), BatchNormalization(), Dense(units=2))), (4,))
digest = hashlib.sha256()
for optimizer in (Adam(), SharpnessAware(optimizer=Adam())):
    state = start(network, optimizer, 0)
    learner = Learner(network, CrossEntropy(), optimizer, Training(epochs=5, batch_size=8), Data(), state)
    digest.update(repr(list(learner.train())).encode())
    digest.update(state.weights.tobytes())
    predictor = Predictor(network, state.weights, state.statistics)
    for _ in range(3):
        digest.update(predictor.outputs(Data.x[:1]).tobytes() + predictor.outputs(Data.x).tobytes())
print(acceleration.accelerators is not None, digest.hexdigest())
"""


def run_in(folder: Path) -> list[str]:
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_training_and_prediction_without_the_folder_give_the_same_numbers(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "core", tmp_path / "core", ignore=shutil.ignore_patterns("execution", "__pycache__"))
    accelerated, digest = run_in(ROOT)
    plain, same_digest = run_in(tmp_path)
    assert (accelerated, plain) == ("True", "False")
    assert digest == same_digest
