"""The deployment, run for real."""
