"""The only room that speaks SQL: tables, sessions, and every query, by noun."""
