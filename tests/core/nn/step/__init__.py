"""Tests of core/nn/step."""
