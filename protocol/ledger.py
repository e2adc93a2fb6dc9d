"""The scenario file: a header, one line a step, an end. JSON lines; `docs/scenarios.md` is its reference.

A line is written from Structs and read back as plain values (`event`, `answer`), because what may stand there belongs
to the rooms above. The end carries the SHA-256 of every byte before it, so that a changed file is known for one.
"""

from hashlib import sha256
from typing import Any

import msgspec
from msgspec import Struct

FORMAT = 1
DEPTH_MAX = 20  # of lists and objects inside one event or answer; ours have 4


class Unreadable(Exception):
    """These bytes are no scenario of a format that we know. The text is one sentence for people."""


class Header(Struct, frozen=True, kw_only=True, tag_field="line", tag="header", forbid_unknown_fields=True):
    """Who recorded it, with which tables and settings, when.

    `fingerprint` maps a machine's name to the SHA-256 of its table, `settings` holds no secrets, `started` is UTC in
    ISO 8601, `moorage` the version that recorded it.
    """

    format: int = FORMAT
    moorage: str
    fingerprint: dict[str, str]
    settings: dict[str, Any] = {}
    started: str = ""
    connection: str = ""


class Line(Struct, frozen=True, kw_only=True, tag_field="line", tag="step", forbid_unknown_fields=True):
    """One step of one actor. `seq` counts from 1 in this file; `clock` is seconds since the header (µs).

    A shared actor's lines from before this connection come in a block when it joins, with a smaller or negative clock.
    """

    seq: int
    clock: float
    actor: str
    machine: str
    event: Any
    answer: Any


class End(Struct, frozen=True, kw_only=True, tag_field="line", tag="end", forbid_unknown_fields=True):
    """`count` steps were written; `why` says what ended it; `sha256` seals all bytes before, and this line."""

    count: int
    why: str
    sha256: str = ""


class Scenario(Struct, frozen=True, kw_only=True):
    """What a file says. `damage`: sentences about what is missing or changed; empty for a whole one."""

    header: Header
    lines: tuple[Line, ...]
    end: End | None
    damage: tuple[str, ...]


class Format(Struct):
    """Just enough of a header of any format, known or not."""

    format: int


ENCODER = msgspec.json.Encoder()
DECODER = msgspec.json.Decoder(Header | Line | End)
FORMAT_DECODER = msgspec.json.Decoder(Format)
# RecursionError: text nested thousands deep. None of these three is a defect of ours.
ERRORS = (msgspec.MsgspecError, RecursionError, UnicodeError)


def encode(part: Header | Line | End) -> bytes:
    """One line of the file with its newline."""
    return ENCODER.encode(part) + b"\n"


def seal(before: bytes, count: int, why: str) -> bytes:
    """The end line for a file that so far has the SHA-256 `before` (raw digest)."""
    bare = End(count=count, why=why)
    return encode(msgspec.structs.replace(bare, sha256=sha256(before + encode(bare)).hexdigest()))


def write(header: Header, lines: tuple[Line, ...], why: str) -> bytes:
    """A whole file."""
    body = b"".join((encode(header), *map(encode, lines)))
    return body + seal(sha256(body).digest(), len(lines), why)


def read(data: bytes) -> Scenario:
    """A file's content. Raises `Unreadable`; what is only incomplete or changed is told as `damage`."""
    texts = data.split(b"\n")
    header = _header(texts[0])
    parts: list[Line | End] = []
    damage: list[str] = []
    rest = texts[1:-1]
    if texts[-1]:
        damage.append(f"line {len(texts)} is cut off")
    for number, text in enumerate(rest, 2):
        part = _part(text, number)
        if isinstance(part, Header):
            raise Unreadable(f"line {number} is a second header")
        parts.append(part)
    lines = tuple(part for part in parts if isinstance(part, Line))
    ends = [part for part in parts if isinstance(part, End)]
    damage += _gaps(lines)
    if not ends:
        damage.append("the end line is missing: the recording was cut short")
    elif len(ends) > 1 or not isinstance(parts[-1], End):
        damage.append("there are lines after the end line")
    elif ends[0].count != len(lines):
        damage.append(f"the end line counts {ends[0].count} steps, there are {len(lines)}")
    elif not damage and data != _sealed(texts, ends[0]):
        damage.append("the file was changed after it was recorded: its SHA-256 does not fit")
    return Scenario(header=header, lines=lines, end=ends[0] if ends else None, damage=tuple(damage))


def _sealed(texts: list[bytes], end: End) -> bytes:
    """The bytes this file would have if nobody had touched them."""
    body = b"\n".join(texts[:-2]) + b"\n"
    return body + seal(sha256(body).digest(), end.count, end.why)


def _gaps(lines: tuple[Line, ...]) -> list[str]:
    for expected, line in enumerate(lines, 1):
        if line.seq != expected:
            return [f"the sequence has a gap: step {expected} is missing, {line.seq} stands in its place"]
    return []


def _header(text: bytes) -> Header:
    try:
        part = DECODER.decode(text)
        if isinstance(part, Header) and part.format == FORMAT and not _is_deep(part.settings):
            return part
    except ERRORS:
        pass
    try:
        number = FORMAT_DECODER.decode(text).format
    except ERRORS:
        raise Unreadable("this is no scenario: its first line is no header") from None
    if number == FORMAT:
        raise Unreadable("the header is damaged")
    raise Unreadable(f"format {number} is unknown here; this version of Moorage reads format {FORMAT}")


def _part(text: bytes, number: int) -> Header | Line | End:
    try:
        part: Header | Line | End = DECODER.decode(text)
    except ERRORS as error:
        raise Unreadable(f"line {number} cannot be read: {error}") from None
    if isinstance(part, Line) and (_is_deep(part.event) or _is_deep(part.answer)):
        raise Unreadable(f"line {number} is nested more than {DEPTH_MAX} deep")
    return part


def _is_deep(value: Any, left: int = DEPTH_MAX) -> bool:
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return bool(parts) and (left == 0 or any(_is_deep(part, left - 1) for part in parts))
