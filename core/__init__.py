"""Networks, data, models, jobs and their store. Knows neither HTTP nor Celery; importing it changes nothing."""

VERSION = "0.2.0"
"""Three numbers. CHANGELOG.md says what each version changes."""
