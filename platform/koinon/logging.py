"""Structured logs on standard error: one JSON object a line, without personal data or card numbers."""

import logging
import sys

import structlog

from koinon.web.card_numbers import mask_event


def configure(level: str) -> None:
    """Send every log line of this process through one chain that ends in JSON."""
    numeric = logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            mask_event,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(numeric),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
    )
    logging.basicConfig(level=max(numeric, logging.WARNING), stream=sys.stderr)
