"""Tests of one subject through the whole API."""
