"""How weights follow the gradient downhill.

An optimizer is a pair of pure functions over flat vectors: `slots` says what it remembers and where that begins,
`update` takes one step in place. They compose: `clip_by_norm` holds another optimizer, as a composite layer
holds layers. One that looks at other weights before it steps asks for the loss and the gradient there by `ctx.again`.
"""
