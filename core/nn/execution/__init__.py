"""Optional accelerators: replay of recorded NumPy calls, and batches sharded over processes."""
