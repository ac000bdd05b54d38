"""Views inside backpropagation: one step in numbers, and the gradient check."""
