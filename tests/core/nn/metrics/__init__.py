"""Tests of core/nn/metrics."""
