"""A trained network with its features: it answers raw records, and it can be kept as a file."""
