"""Tests of core/nn/kernels."""
