"""One training step: pass context, forward and backward pass, update, and the state it depends on."""
