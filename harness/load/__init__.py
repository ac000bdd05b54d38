"""The load test: clients that attack the service, one kind after the other, beside clients that only use it."""
