"""The limits of what the service stores, from its settings, and the totals at the start of the service."""

import structlog
from sqlalchemy.exc import SQLAlchemyError

from core.settings import Settings
from core.store import totals
from core.store.admission import QueueLimits
from core.store.database import Database
from core.store.totals import Amounts

log = structlog.get_logger("api")


def queue_limits(settings: Settings) -> QueueLimits:
    """Return the limits of queued and paused jobs of an owner."""
    return QueueLimits(settings.max_queued, settings.max_queued_spec_bytes)


def storage_limits(settings: Settings) -> Amounts:
    """Return the limits of all jobs and datasets of an owner."""
    return Amounts(**{name: getattr(settings, f"max_{name}") for name in Amounts._fields})


def correct_totals(database: Database) -> None:
    """Recount the totals where they are wrong, as after a version that does not keep them.

    An API whose database cannot be written, such as on a full disk, starts without that.
    """
    try:
        with database.read() as s:
            if totals.stored(s) == totals.counted(s):
                return
        with database.begin() as s:
            totals.recount(s)
    except SQLAlchemyError as error:
        log.warning("cannot count the totals of what is stored", reason=type(error).__name__)
