"""Logging to stderr, in UTC: text in development, one JSON object per line in production.

The fields of `extra` (`request_id`, `route`, `status`, `milliseconds`, `principal`, ids) appear in both forms. No
message may contain a secret or the query of a signed URL; the caller sees to that.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import Any, Final, TextIO

import orjson
from typing_extensions import override

from tams.config import DEVELOPMENT, Settings
from tams.domain.clock import MICROSECONDS, format_time

# The attributes of every record; all others come from `extra`.
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}

_VISIBLE: Final = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}


def configure(settings: Settings, stream: TextIO | None = None) -> None:
    """Send all log messages to `stream` (default: stderr), in the format and from the level of `settings`.

    Libraries log from WARNING upwards only: below it, some of them log credentials and signed URLs.
    """
    handler = logging.StreamHandler(stream)
    handler.setFormatter(TextFormatter() if settings.environment == DEVELOPMENT else JsonFormatter())
    root = logging.getLogger()
    for other in list(root.handlers):
        root.removeHandler(other)
    root.addHandler(handler)
    level = logging.getLevelNamesMapping()[settings.log_level]
    root.setLevel(max(level, logging.WARNING))
    logging.getLogger("tams").setLevel(level)
    logging.captureWarnings(capture=True)
    # They would be determined for each record, and appear in none.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False


class TextFormatter(logging.Formatter):
    """One line per message: `2026-01-31T12:00:00.000Z INFO tams.api GET /flows status=200`. Its traceback follows."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        extra = "".join(f" {name}={_value(value)}" for name, value in _extra(record).items())
        # A line break that a client sent must not look like another message.
        message = record.getMessage().translate(_VISIBLE)
        line = f"{_time(record)} {record.levelname} {record.name} {message}{extra}"
        return f"{line}\n{trace}" if (trace := _trace(self, record)) else line


class JsonFormatter(logging.Formatter):
    """JSON: an object of `time`, `level`, `logger`, `message`, the extra fields, and `exception` if there is one."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        document: dict[str, Any] = {
            **_extra(record),
            "time": _time(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if trace := _trace(self, record):
            document["exception"] = trace
        try:
            return orjson.dumps(document, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
        except orjson.JSONEncodeError:  # lone surrogates, or integers of more than 64 bits
            return orjson.dumps({name: _value(value) for name, value in document.items()}).decode()


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


def _time(record: logging.LogRecord) -> str:
    milliseconds = int(record.created * 1000)
    return f"{_second(milliseconds // 1000)}.{milliseconds % 1000:03}Z"


@lru_cache(maxsize=1)
def _second(seconds: int) -> str:
    return format_time(seconds * MICROSECONDS)[:-1]


def _value(value: object) -> str:
    return str(value).encode(errors="backslashreplace").decode().translate(_VISIBLE)


def _trace(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    parts = []
    if record.exc_info:
        parts.append(formatter.formatException(record.exc_info))
    if record.stack_info:
        parts.append(formatter.formatStack(record.stack_info))
    return "\n".join(parts)
