"""Tests of core/data/readers/archives."""
