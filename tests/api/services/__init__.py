"""Tests of api/services."""
