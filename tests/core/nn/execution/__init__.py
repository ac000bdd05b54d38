"""Tests of core/nn/execution."""
