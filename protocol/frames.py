"""The framing between the host and the guest agent (agent/README.md defines it): frames to bytes and back.

The peer's every length, type and argument is its word only: what is kept between two reads is a header and a body of
at most a few hundred bytes, and the payload of DATA goes on as views of what was read, piece by piece.
"""

import struct
from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple, TypeAlias

from protocol.frame_types import (
    DATA_BYTES_MAX,
    ENDINGS,
    GROUPS_MAX,
    HEADER_BYTES,
    MODES_MAX,
    SIGNAL_MAX,
    SPAWN_BYTES_MAX,
    STAGES,
    STDERR,
    STDIN,
    STDOUT,
    TOKEN_BYTES_MAX,
    VERSION,
    WINDOW_BYTES_MAX,
    AgentHello,
    Close,
    Credit,
    Data,
    EndOfFile,
    Err,
    Exit,
    Frame,
    HostHello,
    Ping,
    Pong,
    Resize,
    Signal,
    Spawn,
    Spawned,
    SpawnUser,
    Terminal,
)

_HEADER = struct.Struct("<IBBHI")
TYPE_AT = 4  # in a header
_SPAWN = struct.Struct("<4H2I2H3I")
_WITH_PTY, _WITH_USER, _INHERIT_ENV, _GIVEN_SLAVE = 1, 2, 4, 8


class FrameError(Exception):
    """These bytes are not frames by the rules, or this frame cannot be sent by them; one sentence."""


Sender: TypeAlias = Literal["host", "agent"]


class _Rule(NamedTuple):
    """Lengths and arguments that a type may have, whether it is for the link, and how its body is read."""

    length_min: int
    length_max: int
    arg_min: int
    arg_max: int
    on_link: bool
    read: Callable[[int, int, bytes], Frame]


def _numbers(pattern: str, body: bytes) -> tuple[int, ...]:
    return struct.unpack("<" + pattern, body)


def _read_agent_hello(channel: int, arg: int, body: bytes) -> Frame:
    version, zero, window, channels_max = _numbers("HHII", body[:12])
    _check_hello(version, zero, window)
    return AgentHello(version=version, window=window, channels_max=channels_max, token=body[12:])


def _read_host_hello(channel: int, arg: int, body: bytes) -> Frame:
    version, zero, window, heartbeat_ms = _numbers("HHII", body)
    _check_hello(version, zero, window)
    return HostHello(version=version, window=window, heartbeat_ms=heartbeat_ms)


def _check_hello(version: int, zero: int, window: int) -> None:
    if version != VERSION:
        raise FrameError(f"the peer speaks version {version} and not {VERSION}")
    if zero or not 0 < window <= WINDOW_BYTES_MAX:
        raise FrameError(f"a HELLO with a window of {window} bytes")


def _read_credit(channel: int, arg: int, body: bytes) -> Frame:
    (more,) = _numbers("I", body)
    if not 0 < more <= WINDOW_BYTES_MAX:
        raise FrameError(f"a CREDIT of {more} bytes")
    return Credit(channel=channel, stream=arg, bytes=more)


def _read_resize(channel: int, arg: int, body: bytes) -> Frame:
    rows, columns, x_pixels, y_pixels = _numbers("4H", body)
    return Resize(channel=channel, rows=rows, columns=columns, x_pixels=x_pixels, y_pixels=y_pixels)


def _read_exit(channel: int, arg: int, body: bytes) -> Frame:
    (number,) = _numbers("I", body)
    if number > (SIGNAL_MAX if arg else 255):
        raise FrameError(f"an EXIT by {ENDINGS[arg]} {number}")
    return Exit(channel=channel, how=ENDINGS[arg], number=number)


def _read_spawned(channel: int, arg: int, body: bytes) -> Frame:
    return Spawned(channel=channel, pid=_numbers("I", body)[0])


def _read_err(channel: int, arg: int, body: bytes) -> Frame:
    return Err(channel=channel, stage=STAGES[arg], errno=_numbers("I", body)[0])


def _read_spawn(channel: int, arg: int, body: bytes) -> Frame:
    rows, columns, x_pixels, y_pixels, uid, gid, groups, modes, argc, envc, zero = _SPAWN.unpack_from(body)
    at = _SPAWN.size + 4 * groups
    text_at = at + 5 * modes
    if arg & _GIVEN_SLAVE and not arg & _WITH_PTY:
        raise FrameError("a SPAWN with a slave and without a terminal")
    if zero or not argc or groups > GROUPS_MAX or modes > MODES_MAX or text_at > len(body):
        raise FrameError("a SPAWN that does not hold what it says")
    strings = body[text_at:].split(b"\0")
    if strings.pop() or len(strings) != 2 + argc + envc:
        raise FrameError("a SPAWN whose strings are not those it counts")
    pairs = [_numbers("BI", body[start : start + 5]) for start in range(at, text_at, 5)]
    size = {"rows": rows, "columns": columns, "x_pixels": x_pixels, "y_pixels": y_pixels}
    members = _numbers(f"{groups}I", body[_SPAWN.size : at])
    return Spawn(
        channel=channel,
        argv=tuple(strings[2 : 2 + argc]),
        env=tuple(strings[2 + argc :]),
        program=strings[1],
        directory=strings[0],
        inherit_env=bool(arg & _INHERIT_ENV),
        terminal=Terminal(**size, modes=tuple((op, value) for op, value in pairs)) if arg & _WITH_PTY else None,
        user=SpawnUser(uid=uid, gid=gid, groups=members) if arg & _WITH_USER else None,
        slave_given=bool(arg & _GIVEN_SLAVE),
    )


HELLO, PING, PONG, SPAWN, SPAWNED, ERR, DATA, EOF, CREDIT, RESIZE, SIGNAL, EXIT, CLOSE = range(1, 14)
_END = _Rule(0, 0, STDIN, STDERR, False, lambda channel, arg, body: EndOfFile(channel=channel, stream=arg))
_CLOSE = _Rule(0, 0, 0, 0, False, lambda channel, arg, body: Close(channel=channel))
_DATA = _END._replace(length_min=1, length_max=DATA_BYTES_MAX)  # a payload is passed on and never read whole
_CREDIT = _Rule(4, 4, STDIN, STDERR, False, _read_credit)
_RULES: dict[Sender, dict[int, _Rule]] = {
    "agent": {
        HELLO: _Rule(12, 12 + TOKEN_BYTES_MAX, 0, 0, True, _read_agent_hello),
        PONG: _Rule(8, 8, 0, 0, True, lambda channel, arg, body: Pong(mark=body)),
        SPAWNED: _Rule(4, 4, 0, 0, False, _read_spawned),
        ERR: _Rule(4, 4, 0, len(STAGES) - 1, False, _read_err),
        DATA: _DATA._replace(arg_min=STDOUT),
        EOF: _END,
        CREDIT: _CREDIT._replace(arg_max=STDIN),
        EXIT: _Rule(4, 4, 0, len(ENDINGS) - 1, False, _read_exit),
        CLOSE: _CLOSE,
    },
    "host": {
        HELLO: _Rule(12, 12, 0, 0, True, _read_host_hello),
        PING: _Rule(8, 8, 0, 0, True, lambda channel, arg, body: Ping(mark=body)),
        SPAWN: _Rule(_SPAWN.size + 3, SPAWN_BYTES_MAX, 0, 15, False, _read_spawn),
        DATA: _DATA._replace(arg_max=STDIN),
        EOF: _END._replace(arg_max=STDOUT),
        CREDIT: _CREDIT._replace(arg_min=STDOUT),
        RESIZE: _Rule(8, 8, 0, 0, False, _read_resize),
        SIGNAL: _Rule(0, 0, 1, SIGNAL_MAX, False, lambda channel, arg, body: Signal(channel=channel, number=arg)),
        CLOSE: _CLOSE,
    },
}


class FrameDecoder:
    """Cuts what one peer sends into frames. The first has to be its HELLO, which comes once."""

    def __init__(self, sender: Sender) -> None:
        self._rules = _RULES[sender]
        self._kept = bytearray()  # of a header, or of a header and a body that is no DATA
        self._needed = HEADER_BYTES
        self._left = 0  # bytes of the current DATA payload still to come
        self._channel = self._stream = 0
        self._greeted = False

    def feed(self, data: bytes | memoryview) -> Iterator[Frame]:
        """Yield what `data` brings; pieces of DATA are views of it. Raises `FrameError`; after that it is over.

        The iterator has to be run to its end before the next call.
        """
        view, at, end = memoryview(data), 0, len(data)
        while at < end:
            if self._left:
                piece = view[at : at + self._left]
                self._left -= len(piece)
                at += len(piece)
                yield Data(channel=self._channel, stream=self._stream, piece=piece)
            elif not self._kept and end - at >= HEADER_BYTES and view[at + TYPE_AT] == DATA:
                self._take_header(*_HEADER.unpack_from(view, at))
                at += HEADER_BYTES
            else:
                part = view[at : at + self._needed - len(self._kept)]
                self._kept += part
                at += len(part)
                if len(self._kept) == self._needed and (frame := self._take_whole()):
                    yield frame

    def finish(self) -> None:
        """The link has ended. Raises `FrameError` when that was in the middle of a frame."""
        if self._left or self._kept:
            raise FrameError("the link ended inside a frame")

    def _take_whole(self) -> Frame | None:
        """The header is whole, or header and body are. None: what follows is the body, or a payload."""
        length, kind, arg, zero, channel = _HEADER.unpack_from(self._kept)
        if self._needed == HEADER_BYTES:
            self._take_header(length, kind, arg, zero, channel)
            if kind == DATA:
                self._kept.clear()
                return None
            self._needed += length
            if length:
                return None
        body = bytes(memoryview(self._kept)[HEADER_BYTES:])
        self._kept.clear()
        self._needed = HEADER_BYTES
        return self._rules[kind].read(channel, arg, body)

    def _take_header(self, length: int, kind: int, arg: int, zero: int, channel: int) -> None:
        """Of a DATA frame the payload is what comes next."""
        rule = self._rules.get(kind)
        if rule is None or zero or not rule.arg_min <= arg <= rule.arg_max:
            raise FrameError(f"not a frame's header: {_HEADER.pack(length, kind, arg, zero, channel).hex()}")
        if not rule.length_min <= length <= rule.length_max:
            raise FrameError(f"a frame of type {kind} cannot have {length} bytes")
        if not _channel_fits(rule, kind, arg, channel):
            raise FrameError(f"a frame of type {kind} cannot be for channel {channel}")
        if self._greeted == (kind == HELLO):
            raise FrameError("HELLO comes first, and once")
        self._greeted = True
        if kind == DATA:
            self._left, self._channel, self._stream = length, channel, arg


def data_header(channel: int, stream: int, length: int) -> bytes:
    """What goes before a payload of `length` bytes, so that the payload need not be copied."""
    if not 0 < length <= DATA_BYTES_MAX:
        raise FrameError(f"a DATA frame cannot have {length} bytes")
    return _HEADER.pack(length, DATA, stream, 0, channel)


def encode(frame: Frame) -> bytes:
    """The bytes of a frame. Raises `FrameError` for what the peer would refuse."""
    try:
        kind, arg, body = _body_of(frame)
        header = _HEADER.pack(len(body), kind, arg, 0, frame.channel)
    except (struct.error, ValueError) as error:
        raise FrameError(f"a {type(frame).__name__} with a number or name out of range: {error}") from error
    if not any(_fits(rules[kind], kind, arg, frame.channel, len(body)) for rules in _RULES.values() if kind in rules):
        raise FrameError(f"a {type(frame).__name__} cannot have {len(body)} bytes and argument {arg} on this channel")
    return header + body


def _fits(rule: _Rule, kind: int, arg: int, channel: int, length: int) -> bool:
    lengths, args = rule.length_min <= length <= rule.length_max, rule.arg_min <= arg <= rule.arg_max
    return lengths and args and _channel_fits(rule, kind, arg, channel)


def _channel_fits(rule: _Rule, kind: int, arg: int, channel: int) -> bool:
    """Channel 0 is the link; the agent's last word about it is an ERR."""
    return rule.on_link == (channel == 0) or (kind, arg, channel) == (ERR, 0, 0)


def _spawn_body(spawn: Spawn) -> tuple[int, int, bytes]:
    strings = (spawn.directory, spawn.program, *spawn.argv, *spawn.env)
    terminal, user = spawn.terminal or Terminal(rows=0, columns=0), spawn.user or SpawnUser(uid=0, gid=0)
    if not spawn.argv or any(b"\0" in text for text in strings):
        raise FrameError("a SPAWN needs an argv[0], and strings without NUL")
    if spawn.slave_given and not spawn.terminal:
        raise FrameError("a SPAWN with a slave needs a terminal")
    if len(user.groups) > GROUPS_MAX or len(terminal.modes) > MODES_MAX:
        raise FrameError(f"a SPAWN has at most {GROUPS_MAX} groups and {MODES_MAX} modes")
    size = (terminal.rows, terminal.columns, terminal.x_pixels, terminal.y_pixels)
    counts = (len(user.groups), len(terminal.modes), len(spawn.argv), len(spawn.env), 0)
    parts = [_SPAWN.pack(*size, user.uid, user.gid, *counts), struct.pack(f"<{len(user.groups)}I", *user.groups)]
    parts += [struct.pack("<BI", *mode) for mode in terminal.modes]
    flags = _WITH_PTY * bool(spawn.terminal) | _WITH_USER * bool(spawn.user) | _INHERIT_ENV * spawn.inherit_env
    flags |= _GIVEN_SLAVE * spawn.slave_given
    return SPAWN, flags, b"".join((*parts, *(text + b"\0" for text in strings)))


def _body_of(frame: Any) -> tuple[int, int, bytes]:
    """Type, argument and body."""
    match frame:
        case AgentHello():
            body = struct.pack("<HHII", frame.version, 0, frame.window, frame.channels_max) + frame.token
            return HELLO, 0, body
        case HostHello():
            return HELLO, 0, struct.pack("<HHII", frame.version, 0, frame.window, frame.heartbeat_ms)
        case Ping():
            return PING, 0, frame.mark
        case Pong():
            return PONG, 0, frame.mark
        case Spawn():
            return _spawn_body(frame)
        case Spawned():
            return SPAWNED, 0, struct.pack("<I", frame.pid)
        case Err():
            return ERR, STAGES.index(frame.stage), struct.pack("<I", frame.errno)
        case Data():
            return DATA, frame.stream, bytes(frame.piece)
        case EndOfFile():
            return EOF, frame.stream, b""
        case Credit():
            return CREDIT, frame.stream, struct.pack("<I", frame.bytes)
        case Resize():
            return RESIZE, 0, struct.pack("<4H", frame.rows, frame.columns, frame.x_pixels, frame.y_pixels)
        case Signal():
            return SIGNAL, frame.number, b""
        case Exit():
            return EXIT, ENDINGS.index(frame.how), struct.pack("<I", frame.number)
        case _:
            return CLOSE, 0, b""
