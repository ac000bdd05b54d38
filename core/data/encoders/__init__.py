"""Encoders: each turns one column of a table into numbers."""
