"""Trained models: a network with its features and target, and its checkpoint."""
