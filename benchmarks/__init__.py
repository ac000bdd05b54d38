"""Benchmarks: the core and the service beside others, on the same work, in one run."""

from core.blas import set_up

set_up()  # before any measure imports NumPy
