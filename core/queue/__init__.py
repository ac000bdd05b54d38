"""Notify workers that there is work."""
