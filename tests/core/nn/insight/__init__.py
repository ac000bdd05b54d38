"""Tests of core/nn/insight."""
