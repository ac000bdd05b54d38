"""Data: files and specs become arrays to train with, and records become rows to predict."""
