"""What goes out: the shapes of the answers, and the examples in the docs."""
