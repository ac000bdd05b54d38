"""The soak run: many clients, many jobs and killed workers for a long time, with checks for leaks."""
