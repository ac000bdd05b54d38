"""The HTTP service: it validates requests, writes and reads rows, and predicts. It never trains."""
