"""Tests of api/streaming."""
