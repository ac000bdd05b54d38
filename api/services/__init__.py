"""What routes use besides the store: model cache, uploads, job creation, warm start, Prometheus, lease collector."""
