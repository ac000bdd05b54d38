"""Tests of core/data/targets."""
