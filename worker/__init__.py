"""Claims jobs, trains them and writes what happens. It never serves."""
