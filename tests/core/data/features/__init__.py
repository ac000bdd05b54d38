"""Tests of core/data/features."""
