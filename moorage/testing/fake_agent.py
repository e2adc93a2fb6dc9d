"""The guest agent of a fake container: the real framing over its attached stdio, and the fake shell's programs."""

import errno
from collections.abc import Mapping, Sequence
from math import inf
from typing import Literal

import trio

from moorage.testing.programs import SIGNALS, Output, Pipe, Program, knows
from protocol.base import Size
from protocol.frame_types import (
    DATA_BYTES_MAX,
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
    Ping,
    Pong,
    Resize,
    Signal,
    Spawn,
    Spawned,
)
from protocol.frames import FrameDecoder, FrameError, encode

WINDOW_BYTES = 1024 * 1024
CHANNELS_MAX = 1024
HELLO_S = 30.0
FIRST_PID = 2
ENDED, NO_LINK, BROKEN, SILENT = 0, 4, 5, 6  # exit statuses of the real one
# What is wrong with an agent from the start: it says nothing, or late, it is somebody else's, or it ends at once.
Whim = Literal["", "mute", "late", "stranger", "ends"]
LATE_S = 1.0


def is_agent(argv: Sequence[str]) -> bool:
    return len(argv) > 1 and argv[0].endswith("/agent") and argv[1] == "serve"


class FakeAgent:
    """Stands where a `Program` does. It has no sockets: with `--socket` it ends as the real one does without a host."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str], stdin: Pipe, send: Output, whim: Whim = "") -> None:
        self.size = Size(columns=0, rows=0)  # it has no terminal itself
        self._whim = whim
        self._argv, self._stdin, self._send = argv, stdin, send
        self.env = {name: value for name, value in env.items() if name != "MOORAGE_TOKEN"}
        self._token = env.get("MOORAGE_TOKEN", "").encode()
        self._scope = trio.CancelScope()
        self._status = ENDED
        self._out, self._to_send = trio.open_memory_channel[Frame](float("inf"))
        self._programs: dict[int, Served] = {}
        self._pid = FIRST_PID
        self._silence_s, self._heard = HELLO_S, 0.0
        self.window = 0  # what each output may send

    async def run(self) -> int:
        if "--socket" in self._argv:
            await self._send(b"no link to the host: No such file or directory\n", True)
            return NO_LINK
        token = self._token if self._whim != "stranger" else b"another"
        self._heard = trio.current_time()
        with self._scope:
            if self._whim in ("mute", "late"):
                await trio.sleep(LATE_S if self._whim == "late" else inf)
            if self._whim == "ends":
                return BROKEN
            self.tell(AgentHello(window=WINDOW_BYTES, channels_max=CHANNELS_MAX, token=token))
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._write)
                nursery.start_soon(self._mind_silence)
                await self._read(nursery)
                nursery.cancel_scope.cancel()
        return self._status

    def signal(self, number: int, is_first: bool) -> None:
        if number in (SIGNALS["KILL"], SIGNALS["TERM"], SIGNALS["INT"]):
            self._status = 128 + number if number == SIGNALS["KILL"] else ENDED
            self._scope.cancel()

    def tell(self, frame: Frame) -> None:
        self._out.send_nowait(frame)

    def forget(self, channel: int) -> None:
        self._programs.pop(channel, None)

    async def _write(self) -> None:
        async for frame in self._to_send:
            await self._send(encode(frame), False)

    async def _mind_silence(self) -> None:
        while self._silence_s == 0 or trio.current_time() < self._heard + self._silence_s:
            await trio.sleep_until(self._heard + (self._silence_s or HELLO_S))
            if self._silence_s == 0:
                return
        self._status = SILENT
        self._scope.cancel()

    async def _read(self, nursery: trio.Nursery) -> None:
        decoder = FrameDecoder("host")
        while data := await self._stdin.read():
            self._heard = trio.current_time()
            try:
                for frame in decoder.feed(data):
                    self._take(frame, nursery)
            except FrameError:
                self._status = BROKEN
                return

    def _take(self, frame: Frame, nursery: trio.Nursery) -> None:
        match frame:
            case HostHello():
                self.window, self._silence_s = frame.window, frame.heartbeat_ms / 1000
            case Ping(mark=mark):
                self.tell(Pong(mark=mark))
            case Spawn():
                self._spawn(frame, nursery)
            case _:
                if program := self._programs.get(frame.channel):
                    program.take(frame)

    def _spawn(self, spawn: Spawn, nursery: trio.Nursery) -> None:
        argv = [word.decode("utf-8", "replace") for word in spawn.argv]
        if not knows(argv):
            self.tell(Err(channel=spawn.channel, stage="exec", errno=errno.ENOENT))
            self.tell(Close(channel=spawn.channel))
            return
        env = dict(line.decode("utf-8", "replace").partition("=")[::2] for line in spawn.env)
        served = Served(self, spawn, argv, {**self.env, **env})
        self._programs[spawn.channel] = served
        self.tell(Spawned(channel=spawn.channel, pid=self._pid))
        self._pid += 1
        nursery.start_soon(served.run)


class Served:
    """One program, behind the credit of its streams."""

    def __init__(self, agent: FakeAgent, spawn: Spawn, argv: Sequence[str], env: Mapping[str, str]) -> None:
        self._agent, self._channel, self._tty = agent, spawn.channel, spawn.terminal is not None
        self._stdin = Pipe(self._drained)
        self._in_credit, self._unread = WINDOW_BYTES, 0
        self._credit = {STDOUT: agent.window, STDERR: agent.window}
        self._more = trio.Event()
        self._program = Program(argv, env, self._tty, self._stdin, self._output)
        if spawn.terminal is not None:
            self._program.size = Size(columns=spawn.terminal.columns, rows=spawn.terminal.rows)

    async def run(self) -> None:
        status = await self._program.run()
        for stream in (STDOUT,) if self._tty else (STDOUT, STDERR):
            self._agent.tell(EndOfFile(channel=self._channel, stream=stream))
        by = self._program.killed_by
        end = Exit(channel=self._channel, how="signal" if by else "status", number=by or status)
        self._agent.tell(end)
        self._agent.tell(Close(channel=self._channel))
        self._agent.forget(self._channel)

    def take(self, frame: Frame) -> None:
        match frame:
            case Data(piece=piece):
                self._in_credit -= len(piece)
                if self._in_credit < 0:
                    raise FrameError("more input than there is credit for")
                self._unread += len(piece)
                self._stdin.feed(bytes(piece))
            case EndOfFile():
                self._stdin.end()
            case Credit(stream=stream, bytes=more):
                self._credit[stream] += more
                self._more.set()
            case Resize():
                self._program.size = Size(columns=frame.columns, rows=frame.rows)
            case Signal(number=number):
                self._program.signal(number, False)
            case Close():
                self._program.signal(SIGNALS["KILL"], False)

    def _drained(self) -> None:
        owed = self._unread - len(self._stdin)
        if owed >= WINDOW_BYTES // 4:
            self._unread -= owed
            self._in_credit += owed
            self._agent.tell(Credit(channel=self._channel, stream=STDIN, bytes=owed))

    async def _output(self, data: bytes, stderr: bool) -> None:
        stream = STDERR if stderr and not self._tty else STDOUT
        while data:
            while not self._credit[stream]:
                self._more = trio.Event()
                await self._more.wait()
            piece = data[: min(self._credit[stream], DATA_BYTES_MAX)]
            data = data[len(piece) :]
            self._credit[stream] -= len(piece)
            self._agent.tell(Data(channel=self._channel, stream=stream, piece=piece))
