"""Networks, data, models, jobs and their store. Knows neither HTTP nor Celery; importing it changes nothing."""

VERSION = "0.1.0"
