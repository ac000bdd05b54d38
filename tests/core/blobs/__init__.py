"""Tests of core/blobs."""
