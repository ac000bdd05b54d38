"""The worker: claims jobs, trains them and writes their results. It serves no requests."""
