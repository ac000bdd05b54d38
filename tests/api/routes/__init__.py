"""Tests of api/routes."""
