"""Global pooling of masked sequences."""

import numpy as np

from core.nn.layers.global_pooling import GlobalAveragePooling1D
from core.nn.layers.masking import Masking
from core.nn.network import Network
from core.nn.predictor import Predictor
from tests.core.nn.cases import sequential


def test_average_of_fully_masked_sequence_is_zero() -> None:
    network = Network(sequential(Masking(), GlobalAveragePooling1D()), (3, 2))
    padding = np.zeros((1, 3, 2), np.float32)
    assert Predictor(network, *network.initialize(np.random.default_rng(0))).outputs(padding).tolist() == [[0, 0]]
