"""Warm start."""

from core.jobs.warm_start import require_same_weights, weights_by_layer
from core.nn.network import Network
from tests.core.nn.cases import LAYERS, sequential


def test_weights_inside_every_composite_are_compared() -> None:
    for case in LAYERS:
        network = Network(sequential(case.layer), case.input_shape)
        require_same_weights(weights_by_layer(network), network)
        compared = sum(text.count("(") for _, text in weights_by_layer(network))
        plans = network.plan.walk()
        assert compared == sum(len(plan.weights) + len(plan.statistics) for plan in plans), case.layer.type
