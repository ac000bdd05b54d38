"""A long run under load: many clients, many jobs, workers that are killed; and what it leaves behind."""
