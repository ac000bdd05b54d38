"""Tests of core/data/readers."""
