"""All SQL of the project: the tables, the sessions, and every query, one module per noun."""
