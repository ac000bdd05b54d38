"""Warm start."""

from core.jobs.warm_start import _weights_by_layer, require_same_weights
from core.nn.network import Network
from tests.core.nn.cases import LAYERS, sequential


def test_weights_inside_every_composite_are_compared() -> None:
    for case in LAYERS:
        network = Network(sequential(case.layer), case.input_shape)
        require_same_weights(network, network)
        compared = sum(text.count("(") for _, text in _weights_by_layer(network.architecture, network.plan))
        plans = network.plan.walk()
        assert compared == sum(len(plan.weights) + len(plan.statistics) for plan in plans), case.layer.type
