"""What host and guest agent say to one another (agent/README.md): the frames as values, and their limits."""

from collections.abc import Sequence

from msgspec import Struct

VERSION = 1
HEADER_BYTES = 12
DATA_BYTES_MAX = 64 * 1024
SPAWN_BYTES_MAX = 1024 * 1024
TOKEN_BYTES_MAX = 128
WINDOW_BYTES_MAX = 16 * 1024 * 1024
MODES_MAX = 256
GROUPS_MAX = 64
SIGNAL_MAX = 64
CHANNEL_MAX = 2**32 - 1
STDIN, STDOUT, STDERR = range(3)
# Where a SPAWN failed, in the order of being done; ERR's argument is the index.
STAGES = ("protocol", "limit", "resources", "terminal", "user", "directory", "exec")
ENDINGS = ("status", "signal", "signal_with_core")
# RFC 4254 section 6.9, in the numbers of Linux on x86_64 and aarch64.
SIGNALS = {
    "HUP": 1,
    "INT": 2,
    "QUIT": 3,
    "ILL": 4,
    "ABRT": 6,
    "FPE": 8,
    "KILL": 9,
    "USR1": 10,
    "SEGV": 11,
    "USR2": 12,
    "PIPE": 13,
    "ALRM": 14,
    "TERM": 15,
}


class Frame(Struct, frozen=True, kw_only=True):
    """What they have in common: the channel. 0 is the link itself."""

    channel: int = 0


class AgentHello(Frame, frozen=True, kw_only=True):
    """The agent's first frame. `window`: what each program's stdin takes before a CREDIT."""

    version: int = VERSION
    window: int
    channels_max: int
    token: bytes = b""


class HostHello(Frame, frozen=True, kw_only=True):
    """The host's first frame. Without a word from the host for `heartbeat_ms` the agent ends; 0: it never does."""

    version: int = VERSION
    window: int
    heartbeat_ms: int = 0


class Ping(Frame, frozen=True, kw_only=True):
    mark: bytes


class Pong(Frame, frozen=True, kw_only=True):
    mark: bytes


class Terminal(Struct, frozen=True, kw_only=True):
    """Size and modes (RFC 4254 section 8, opcode and value) as the program finds them."""

    rows: int
    columns: int
    x_pixels: int = 0
    y_pixels: int = 0
    modes: Sequence[tuple[int, int]] = ()


class SpawnUser(Struct, frozen=True, kw_only=True):
    uid: int
    gid: int
    groups: Sequence[int] = ()


class Spawn(Frame, frozen=True, kw_only=True):
    """Start a program. Nothing is taken from the image: what is not said here, the program does not have.

    An empty `program` is argv[0]; an empty `directory` and no `user` are the agent's own.
    """

    argv: Sequence[bytes]
    env: Sequence[bytes] = ()
    program: bytes = b""
    directory: bytes = b""
    inherit_env: bool = False
    terminal: Terminal | None = None
    user: SpawnUser | None = None
    slave_given: bool = False  # its descriptor comes with the frame, and the host has the terminal's master


class Spawned(Frame, frozen=True, kw_only=True):
    pid: int


class Err(Frame, frozen=True, kw_only=True):
    """The program was not started (or, on channel 0, the link is over). `errno` is Linux's number."""

    stage: str
    errno: int


class Data(Frame, frozen=True, kw_only=True):
    """A piece of a DATA frame's payload, never empty. What a frame brings may come in several."""

    stream: int
    piece: memoryview | bytes


class EndOfFile(Frame, frozen=True, kw_only=True):
    """No more DATA on this stream. From the agent for stdin: nobody reads it any more."""

    stream: int


class Credit(Frame, frozen=True, kw_only=True):
    stream: int
    bytes: int


class Resize(Frame, frozen=True, kw_only=True):
    rows: int
    columns: int
    x_pixels: int = 0
    y_pixels: int = 0


class Signal(Frame, frozen=True, kw_only=True):
    number: int


class Exit(Frame, frozen=True, kw_only=True):
    """How the program ended: `number` is its status, or that of the signal."""

    how: str
    number: int


class Close(Frame, frozen=True, kw_only=True):
    """From the host: end the channel's programs. From the agent: the last frame of a channel; its id is free again."""
