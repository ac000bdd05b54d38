"""Layers: frozen dataclasses whose fields are their JSON and whose methods are their mathematics.

`plan(input_shape)` returns a layer's weights, output shape and cost; `forward(x, views, ctx)` returns the output and
the backward pass.
"""
