"""Data sources of a job: inline, built-in, an uploaded dataset."""
