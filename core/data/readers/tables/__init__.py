"""Tables of texts that DuckDB reads: their columns' types and statistics, their arrays, and pages of their rows."""
