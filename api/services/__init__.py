"""What routes work with beside the store: model cache, uploads, warm start, Prometheus, lease collector."""
