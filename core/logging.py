"""What the processes say to whoever runs them, one line per fact on standard error.

Bound context (job, request) travels in context variables, and lines of libraries get the same shape as ours. What a
client wrote can neither begin a line of its own nor steer the terminal that shows it.
"""

import logging
import sys
import textwrap
from io import StringIO
from typing import TextIO

import structlog
from structlog.typing import EventDict, ExcInfo, Processor, WrappedLogger

from core.settings import Settings

_CHATTY = ("alembic", "amqp", "celery", "httpx", "kombu", "uvicorn")

_SHARED: tuple[Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)

_STEERING = {number: ascii(chr(number))[1:-1] for number in (*range(32), *range(127, 160), 0x2028, 0x2029)}
"""How a character that moves the cursor, ends a line or begins an escape sequence is shown instead."""


def _harmless(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
    return {name: value.translate(_STEERING) if isinstance(value, str) else value for name, value in line.items()}


def _indented_traceback(out: TextIO, error: ExcInfo) -> None:
    text = StringIO()
    structlog.dev.plain_traceback(text, error)
    kept = _STEERING | {ord("\n"): "\n"}
    out.write(textwrap.indent(text.getvalue().translate(kept), "  "))


_RENDER: dict[str, tuple[Processor, ...]] = {
    "json": (structlog.processors.format_exc_info, structlog.processors.JSONRenderer()),
    "console": (
        _harmless,
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=_indented_traceback),
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
