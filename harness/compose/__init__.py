"""Test of the compose deployment with real containers."""
