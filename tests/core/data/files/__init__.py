"""Tests of core/data/files."""
