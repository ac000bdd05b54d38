"""How weights follow the gradient downhill.

An optimizer is a pair of pure functions over flat vectors: `slots` says what it remembers and where that begins,
`update` takes one step in place. They compose: `clip_by_norm` holds another optimizer, as a composite layer
holds layers. One that needs the loss and the gradient at other weights before it steps calls `ctx.reevaluate`.
"""
