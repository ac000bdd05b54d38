"""Optimizers: the update of the weights from the gradient.

An optimizer is a pair of pure functions over flat vectors: `slots` describes its state vectors, and `update` takes one
step in place. Optimizers compose: `clip_by_norm` wraps another optimizer, as a composite layer contains layers. An
optimizer that needs the loss and the gradient at other weights before it steps calls `ctx.reevaluate`.
"""
