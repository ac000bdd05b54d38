"""Optional accelerators: replay of recorded NumPy calls, and sharding of a batch over processes.

Only `core.nn.step.acceleration` imports this folder. Without it everything works, slower.
"""
