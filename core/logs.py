"""What the processes say to whoever runs them, one line per fact on standard error.

Bound context (job, request) travels in context variables, and lines of libraries get the same shape as ours.
"""

import logging
import sys

import structlog
from structlog.typing import Processor

from core.settings import Settings

_CHATTY = ("alembic", "amqp", "celery", "httpx", "kombu", "uvicorn")

_SHARED: tuple[Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)

_RENDER: dict[str, tuple[Processor, ...]] = {
    "json": (structlog.processors.format_exc_info, structlog.processors.JSONRenderer()),
    "console": (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback),
    ),
}


def configure(settings: Settings) -> None:
    """Send every logger of this process to standard error, in the format and from the level that the settings name."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=list(_SHARED),
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_RENDER[settings.log_format]],
        )
    )
    level = settings.log_level.upper()
    logging.basicConfig(handlers=[handler], level=level, force=True)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(logging.getLogger().level, logging.WARNING))
