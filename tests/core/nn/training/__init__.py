"""Tests of core/nn/training."""
