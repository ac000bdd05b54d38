"""The layers: each a frozen dataclass whose fields are its JSON and whose methods are its mathematics.

`plan(input_shape)` says what it wants and emits; `forward(x, views, ctx)` returns the output and the backward pass.
"""
