"""How workers are notified that there is work."""
