"""One log line as text: ContainerSSH's `ljson` and `text`, and RFC 3164's head for syslog.

What comes from a peer, an engine or a container may hold control characters; none of them reaches a terminal or
breaks a line here.
"""

import json
import os
import socket
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal, get_args

import msgspec
from msgspec import Struct

from protocol.settings import Facility, LogLevel, Syslog

Format = Literal["ljson", "text"]
LEVELS: tuple[LogLevel, ...] = get_args(LogLevel)  # as they are written, debug first
FACILITIES: tuple[Facility, ...] = get_args(Facility)  # in the order of RFC 3164's numbers
_LONG_NAMES = {"critical": "crit", "emergency": "emerg"}  # as the codes have them
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")  # in no locale
_ENCODER = msgspec.json.Encoder(enc_hook=str)


class Record(Struct, frozen=True):
    """One line to be: `level` is a name as it is written (`crit`), `at` has a time zone."""

    at: datetime
    level: str
    code: str
    message: str
    details: Mapping[str, object]


def level_name(level: str | int) -> LogLevel:
    """The written name of a level given by short or long name or by syslog's number (0 emerg to 7 debug).

    Raises ValueError naming what there is.
    """
    name = str(level).strip().lower()
    if name.isascii() and name.isdigit() and int(name) < len(LEVELS):
        return LEVELS[severity_max() - int(name)]
    for known in LEVELS:
        if known == _LONG_NAMES.get(name, name):
            return known
    raise ValueError(f"the log level {level!r} is unknown; there are {', '.join(LEVELS)} and 7 to 0")


def severity_max() -> int:
    return len(LEVELS) - 1


def severity(level: LogLevel) -> int:
    """Syslog's number: 0 for emerg, 7 for debug."""
    return severity_max() - LEVELS.index(level)


def ljson(record: Record, with_time: bool = True) -> str:
    """ContainerSSH's JSON line; in syslog time and level are in the head and left out here."""
    fields: dict[str, object] = {"timestamp": timestamp(record.at), "level": record.level} if with_time else {}
    fields |= {"code": record.code, "message": record.message}
    try:
        line = _ENCODER.encode({**fields, "details": record.details}).decode()
    except (TypeError, ValueError, RecursionError):  # half a surrogate pair, a key that is no text…
        line = _ENCODER.encode({**fields, "details": {"unreadable": ascii(record.details)}}).decode()
    return visible(line)


def text(record: Record, with_time: bool = True) -> str:
    """ContainerSSH's text line, tabs between its parts, with the code before the message."""
    details = " ".join(f"{name}={_value(value)}" for name, value in record.details.items())
    said = f"{record.message} ({details})" if details else record.message
    parts = [record.code, visible(said.replace("\\", "\\\\"))]
    return "\t".join([timestamp(record.at), record.level, *parts] if with_time else parts)


def _value(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def visible(text: str) -> str:
    """`text` with every character that does not show itself as a JSON escape. A JSON text stays the same JSON."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escape(char) for char in text)


def _escape(char: str) -> str:
    escaped = json.dumps(char)[1:-1]
    return escaped if escaped != char else f"\\u{ord(char):04x}"


def timestamp(at: datetime) -> str:
    """RFC 3339 in UTC, with milliseconds: `2026-11-24T04:24:25.123Z`."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def syslog_line(record: Record, settings: Syslog, format: Format, with_host: bool) -> str:
    """RFC 3164: priority, local time, the host's name (on the network only), tag, and the message."""
    number = FACILITIES.index(settings.facility) * 8 + severity(level_name(record.level))
    local = record.at.astimezone()
    when = f"{_MONTHS[local.month - 1]} {local.day:2d} {local:%H:%M:%S}"
    host = f"{socket.gethostname()} " if with_host else ""
    tag = (settings.tag or "Moorage") + (f"[{os.getpid()}]" if settings.pid else "")
    body = ljson(record, with_time=False) if format == "ljson" else text(record, with_time=False)
    return f"<{number}>{when} {host}{tag}: {body}"
