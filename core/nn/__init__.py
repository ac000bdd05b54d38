"""How a network learns: layers, losses, optimizers and the training loop, in NumPy alone.

Knows no files, no SQL and no clock.
"""
