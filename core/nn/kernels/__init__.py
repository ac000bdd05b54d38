"""Fast, stateless NumPy functions that several layers share."""
