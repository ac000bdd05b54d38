"""Tests of core/nn/losses."""
