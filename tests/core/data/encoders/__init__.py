"""Tests of core/data/encoders."""
