"""Tests of core/nn."""
