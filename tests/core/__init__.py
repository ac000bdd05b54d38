"""Tests of the rooms inside core."""
