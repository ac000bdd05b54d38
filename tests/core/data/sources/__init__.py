"""Tests of core/data/sources."""
