"""Tests of core/queue."""
