"""Neural networks in NumPy alone: layers, losses, optimizers and the training loop.

Nothing in it reads files, SQL or the clock.
"""
