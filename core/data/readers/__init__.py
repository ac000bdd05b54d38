"""Readers: one per file format; each infers a schema and loads columns."""
