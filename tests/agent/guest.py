"""The agent as a process, and the host's end of its link, synchronous and with a time limit on every wait."""

import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from protocol.frame_types import (
    STDERR,
    STDIN,
    STDOUT,
    AgentHello,
    Close,
    Credit,
    Data,
    EndOfFile,
    Err,
    Exit,
    Frame,
    HostHello,
    Spawn,
)
from protocol.frames import FrameDecoder, encode

WAIT_SECONDS = 20.0
WINDOW = 256 * 1024
F = TypeVar("F", bound=Frame)
# The agent forbids to be traced, which the leak checker would do.
SANITIZER = {"ASAN_OPTIONS": "detect_leaks=0:abort_on_error=0:exitcode=99", "UBSAN_OPTIONS": "print_stacktrace=1"}
PATH = b"PATH=/usr/bin:/bin"


class Ended(Exception):
    """The agent has closed the link."""


class Ran(NamedTuple):
    out: bytes
    err: bytes
    exit: Exit | None
    error: Err | None


class Guest:
    """`agent serve` on one end. `attached`: over its stdin and stdout, else over a Unix socket in `folder`."""

    def __init__(self, binary: Path, folder: Path, *words: str, attached: bool = False, token: str = "") -> None:
        env = {"PATH": "/usr/bin:/bin", "AGENT_OWN": "1", **SANITIZER} | ({"MOORAGE_TOKEN": token} if token else {})
        self.log = (folder / "agent.log").open("w+b")
        command = [str(binary), "serve", *words]
        if attached:
            self._socket, theirs = socket.socketpair()
            self.process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=self.log, env=env)
            theirs.close()
        else:
            path = folder / "link.sock"
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(str(path))
                listener.listen(1)
                listener.settimeout(WAIT_SECONDS)
                self.process = subprocess.Popen(
                    [*command, "--socket", str(path)], stdin=subprocess.DEVNULL, stderr=self.log, env=env
                )
                self._socket, _ = listener.accept()
            path.unlink()
        self._socket.settimeout(WAIT_SECONDS)
        self._decoder = FrameDecoder("agent")
        self._frames: list[Frame] = []
        self.hello = self.next(AgentHello)
        self._last_channel = 0

    def greet(self, window: int = WINDOW, heartbeat_ms: int = 0) -> "Guest":
        self.send(HostHello(window=window, heartbeat_ms=heartbeat_ms))
        return self

    def send(self, *frames: Frame) -> None:
        self.send_bytes(b"".join(map(encode, frames)))

    def send_bytes(self, data: bytes, *given: int) -> None:
        """`given`: descriptors that go with the first of the bytes."""
        sent = socket.send_fds(self._socket, [data], given) if given else 0
        if sent < len(data):
            self._socket.sendall(data[sent:])

    def _read(self) -> None:
        try:
            data = self._socket.recv(1 << 18)
        except ConnectionResetError:
            data = b""
        if not data:
            self._decoder.finish()
            raise Ended(self.said())
        self._frames += self._decoder.feed(data)

    def take(self, wanted: Callable[[Frame], bool]) -> Frame:
        """The first frame that is wanted; the others stay for later."""
        at = 0
        while True:
            for nth in range(at, len(self._frames)):
                if wanted(self._frames[nth]):
                    return self._frames.pop(nth)
            at = len(self._frames)
            self._read()

    def next(self, kind: type[F], channel: int | None = None) -> F:
        frame = self.take(lambda it: isinstance(it, kind) and channel in (None, it.channel))
        assert isinstance(frame, kind)
        return frame

    def order(self, channel: int) -> Iterator[Frame]:
        """The frames of one channel, to its CLOSE; each output is given back as credit."""
        while True:
            frame = self.take(lambda it: it.channel == channel)
            yield frame
            if isinstance(frame, Data):
                self.send(Credit(channel=channel, stream=frame.stream, bytes=len(frame.piece)))
            if isinstance(frame, Close):
                return

    def spawn(self, *argv: str, given: Sequence[int] = (), **options: object) -> int:
        self._last_channel += 1
        options = {"env": (PATH,), **options}
        words = tuple(word.encode() for word in argv)
        frame = Spawn(channel=self._last_channel, argv=words, **options)  # type: ignore[arg-type]
        self.send_bytes(encode(frame), *given)
        return self._last_channel

    def finish(self, channel: int) -> Ran:
        """All that a channel still says."""
        parts: dict[int, list[bytes]] = {STDOUT: [], STDERR: []}
        ended: Exit | None = None
        error: Err | None = None
        for frame in self.order(channel):
            match frame:
                case Data(stream=stream, piece=piece):
                    parts[stream].append(bytes(piece))
                case Exit():
                    ended = frame
                case Err():
                    error = frame
        return Ran(b"".join(parts[STDOUT]), b"".join(parts[STDERR]), ended, error)

    def run(self, *argv: str, stdin: bytes | None = b"", **options: Any) -> Ran:
        channel = self.spawn(*argv, **options)
        if stdin is not None:
            if stdin:
                self.send(Data(channel=channel, stream=STDIN, piece=stdin))
            self.send(EndOfFile(channel=channel, stream=STDIN))
        return self.finish(channel)

    def output(self, channel: int, wanted: bytes) -> bytes:
        """What comes on stdout until it holds `wanted`."""
        got = b""
        while wanted not in got:
            frame = self.take(lambda it: it.channel == channel and isinstance(it, Data) and it.stream == STDOUT)
            assert isinstance(frame, Data)
            got += frame.piece
            self.send(Credit(channel=channel, stream=frame.stream, bytes=len(frame.piece)))
        return got

    def said(self) -> str:
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def hang_up(self) -> int:
        """Drop the link; the agent's exit code."""
        self._socket.close()
        return self.ended()

    def ended(self) -> int:
        code = self.process.wait(WAIT_SECONDS)
        said = self.said()
        assert "Sanitizer" not in said and "runtime error" not in said, said
        return code

    def close(self) -> None:
        self._socket.close()
        try:
            self.ended()
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            self.log.close()


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def number_of(name: str) -> int:
    return int(getattr(signal, f"SIG{name}"))


def clean_env() -> dict[str, str]:
    return {**os.environ, **SANITIZER}
