"""Real tasks, each trained from scratch: the accuracy of the core beside its bound."""
