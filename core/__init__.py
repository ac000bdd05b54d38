"""What Chainrule is made of: nets, data, models, jobs and their store. Knows neither HTTP nor Celery."""

VERSION = "0.1.0"
