"""The mixins of layers: shared fields keep slots, order and docstrings."""

from dataclasses import fields
from typing import Any

import pytest

from core.docstrings import attribute_docstrings
from core.nn.initializers import Ones
from core.nn.layers.composite import Layer
from core.nn.layers.dense import Dense
from core.nn.regularizers import L2
from core.nn.tagged_union import members


@pytest.mark.parametrize("layer", members(Layer).values(), ids=members(Layer))
def test_layer_instances_have_no_dict(layer: Any) -> None:
    assert not any("__dict__" in vars(base) for base in layer.__mro__[:-1])


@pytest.mark.parametrize("layer", members(Layer).values(), ids=members(Layer))
def test_every_field_has_a_docstring(layer: Any) -> None:
    assert {field.name for field in fields(layer)} - {"type"} <= set(attribute_docstrings(layer))


@pytest.mark.parametrize("layer", members(Layer).values(), ids=members(Layer))
def test_type_is_the_first_field(layer: Any) -> None:
    assert fields(layer)[0].name == "type"


def test_weights_of_mixins_use_their_fields() -> None:
    layer = Dense(units=2, kernel_regularizer=L2(), bias_initializer=Ones())
    kernel, bias = layer.kernel_weight((3, 2)), layer.bias_weight((2,))
    assert (kernel.shape, kernel.initializer, kernel.regularizer) == ((3, 2), layer.kernel_initializer, L2())
    assert (bias.shape, bias.initializer, bias.regularizer) == ((2,), Ones(), None)
