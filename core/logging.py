"""Structured logging to standard error, one line per event.

Bound context (job, request) is kept in context variables. Lines of libraries have the same format as ours. Control
characters in client data are escaped, so that a client can neither forge a line nor control the terminal.
"""

import logging
import sys
import textwrap
from io import StringIO
from typing import TextIO

import structlog
from structlog.typing import EventDict, ExcInfo, Processor, WrappedLogger

from core.settings import Settings

_VERBOSE_LIBRARIES = ("alembic", "amqp", "celery", "httpx", "kombu", "uvicorn")

_PROCESSORS: tuple[Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)

_ESCAPED = {number: ascii(chr(number))[1:-1] for number in (*range(32), *range(127, 160), 0x2028, 0x2029)}
"""The escape of each character that moves the cursor, ends a line or begins an escape sequence."""


def _escape_values(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
    return {name: value.translate(_ESCAPED) if isinstance(value, str) else value for name, value in line.items()}


def _indented_traceback(out: TextIO, error: ExcInfo) -> None:
    text = StringIO()
    structlog.dev.plain_traceback(text, error)
    kept = _ESCAPED | {ord("\n"): "\n"}
    out.write(textwrap.indent(text.getvalue().translate(kept), "  "))


_RENDERERS: dict[str, tuple[Processor, ...]] = {
    "json": (structlog.processors.format_exc_info, structlog.processors.JSONRenderer()),
    "console": (
        _escape_values,
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=_indented_traceback),
    ),
}


def configure(settings: Settings) -> None:
    """Send every logger of this process to standard error, with the format and level of the settings."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_PROCESSORS,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=list(_PROCESSORS),
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_RENDERERS[settings.log_format]],
        )
    )
    level = settings.log_level.upper()
    logging.basicConfig(handlers=[handler], level=level, force=True)
    for name in _VERBOSE_LIBRARIES:
        logging.getLogger(name).setLevel(max(logging.getLogger().level, logging.WARNING))
