"""The HTTP service: it parses, writes rows, reads them and predicts. It never trains."""
