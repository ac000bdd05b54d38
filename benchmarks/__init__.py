"""Benchmarks: the core and the service beside others, on the same work, in one run."""

from core.blas import configure_openblas

configure_openblas()  # before any benchmark imports NumPy
