"""Warm start: whether a network can take the weights of another one."""

from collections.abc import Iterable, Iterator
from itertools import zip_longest
from typing import TypeAlias

from core.jobs.errors import InvalidSpec
from core.json_pointer import pointer
from core.nn.layers.composite import Layer
from core.nn.network import Network
from core.nn.plan import Plan, layer_parts

LayerWeights: TypeAlias = tuple[str, str]
"""The pointer of a layer with weights or statistics of its own, and these in words."""


def weights_by_layer(network: Network) -> Iterator[LayerWeights]:
    """Yield the weights and statistics of each layer that has any."""
    return _weights_by_layer(network.architecture, network.plan)


def require_same_weights(own: Iterable[LayerWeights], source: Network) -> None:
    """Compare weights and statistics with those of another network, in order, by name and shape.

    Raises
    ------
    InvalidSpec
        At the first layer that differs.
    """
    nothing = ("/architecture/layers", "nothing more")
    for (place, weights), (_, source_weights) in zip_longest(own, weights_by_layer(source), fillvalue=nothing):
        if weights != source_weights:
            message = f"has {weights}, but the job to start from has {source_weights}: use the same weights in order"
            raise InvalidSpec([(place, message)], "shape_mismatch")


def _weights_by_layer(layer: Layer, plan: Plan, path: tuple[str | int, ...] = ()) -> Iterator[LayerWeights]:
    shapes = {name: weight.shape for name, weight in plan.weights.items()}
    shapes |= {name: statistic.shape for name, statistic in plan.statistics.items()}
    if shapes:
        yield pointer("architecture", *path), ", ".join(f"{name} {shape}" for name, shape in shapes.items())
    for place, inner, part in layer_parts(layer, plan.parts):
        yield from _weights_by_layer(inner, part, (*path, *place))
