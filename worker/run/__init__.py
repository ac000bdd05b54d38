"""One run of one job: prepare, train, write, checkpoint, end."""
