"""What Chainrule is made of: nets, data, models, jobs and their store. Knows neither HTTP nor Celery."""

from core.blas import set_up

VERSION = "0.1.0"

set_up()  # here, since whoever imports anything of this imports NumPy after it
