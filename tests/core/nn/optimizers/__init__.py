"""Tests of core/nn/optimizers."""
