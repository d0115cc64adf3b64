"""Logs: one JSON object a line, constant messages, fields beside them. Never a name, never a text of a person.

    _log.warning("commit loop recovers", extra={"reason": reason})

The message is constant, so that it can be counted and searched; what varies is a field.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import TextIO

_PLAIN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName", "color_message"}
_QUIET = ("kafka", "httpx", "httpcore", "uvicorn.error", "psycopg.pool")
"""Libraries that tell their daily life at INFO."""


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON: time, level, logger, message, and the `extra` fields.

    A field never replaces one of the first four; its value is text when JSON has no form for it.
    """

    def format(self, record: logging.LogRecord) -> str:
        fields = {name: value for name, value in record.__dict__.items() if name not in _PLAIN}
        line: dict[str, object] = fields | {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__
            line["trace"] = self.formatException(record.exc_info)
        first = {name: line.pop(name) for name in ("time", "level", "logger", "message")}
        return json.dumps(first | line, default=str, ensure_ascii=False)


def log_to_stderr(level: str = "INFO", *, stream: TextIO | None = None) -> None:
    """Send the process's logs to standard error (or `stream`) as JSON lines, and nothing else anywhere."""
    out = logging.StreamHandler(stream or sys.stderr)
    out.setFormatter(JsonFormatter())
    logging.basicConfig(level=level, handlers=[out], force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
