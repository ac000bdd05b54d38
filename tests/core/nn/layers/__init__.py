"""Tests of core/nn/layers."""
