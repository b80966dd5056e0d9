"""Log lines in logfmt or JSON, on standard error."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

FORMATS = ("logfmt", "json")
LEVELS = ("debug", "info", "warn", "error")


def configure_logging(level: str, format_: str) -> None:
    """Send all log records of at least `level` to standard error in `format_`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if format_ == "json" else LogfmtFormatter())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper().replace("WARN", "WARNING"))
    # Alembic tells of each step and plug-in; what was migrated is said once by us.
    logging.getLogger("alembic").setLevel(logging.WARNING)


def fields_of(record: logging.LogRecord) -> dict[str, str]:
    """Return what a line says of `record`: time (UTC), level, source, message, and
    what was given as `extra={"fields": {...}}`."""
    at = datetime.fromtimestamp(record.created, UTC)
    fields = {
        "time": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "level": record.levelname.lower().replace("warning", "warn"),
        "source": record.name,
        "msg": record.getMessage(),
    }
    fields.update(getattr(record, "fields", {}))
    if record.exc_info:
        fields["traceback"] = logging.Formatter().formatException(record.exc_info)
    return fields


class JsonFormatter(logging.Formatter):
    """A line of JSON a record."""

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(fields_of(record))


class LogfmtFormatter(logging.Formatter):
    """key=value pairs, values quoted where they need it."""

    def format(self, record: logging.LogRecord) -> str:
        pairs = fields_of(record).items()
        return " ".join(f"{key}={_logfmt_value(value)}" for key, value in pairs)


def _logfmt_value(value: str) -> str:
    plain = value.isprintable() and not set(value) & set(' ="\\')
    return value if value and plain else json.dumps(value)
