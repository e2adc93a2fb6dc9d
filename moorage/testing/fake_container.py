"""The inside of the fake engine: streams, and what runs at the other end of them."""

from collections.abc import Callable, Mapping, Sequence

import trio
from msgspec import Struct

from actors.ports import ContainerOrder, ExecOrder, Sink
from moorage.testing.fake_agent import FakeAgent, Whim, is_agent
from moorage.testing.programs import SIGNALS, Pipe, Program
from protocol.base import Size

STDIN_BYTES_HIGH = 256 * 1024
STDIN_BYTES_LOW = 64 * 1024


class FakeImage(Struct, frozen=True, kw_only=True):
    """An image: what it runs by itself, and what pulling it takes."""

    command: tuple[str, ...] = ("/bin/sh",)
    entrypoint: tuple[str, ...] = ()
    env: Mapping[str, str] = {}
    layers: int = 1
    size_bytes: int = 4_000_000
    pull_seconds: float = 1.0
    login: tuple[str, str] | None = None  # user and password that the registry wants


class FakeStream:
    """See `actors.ports.Stream`."""

    outlives_output = False

    def __init__(self, sink: Sink, stdin: Pipe | None, tty: bool, closed: Callable[["FakeStream"], None]) -> None:
        """`stdin` is None for a container that reads none."""
        self._sink: Sink | None = sink
        self._tty = tty
        self._stdin = stdin
        self._closed = closed
        self._full = False
        self._begun = False
        self._cut: str | None = None  # before it began
        self._flowing = trio.Event()
        if stdin is not None:
            stdin.drained = self._drained

    def begin(self) -> None:
        """The answer has arrived: from here on the sink is called, and not before."""
        self._begun = True
        self._flowing.set()
        if self._cut is not None:
            self.cut(self._cut)

    def write(self, data: bytes | memoryview) -> None:
        if self._stdin is None or self._sink is None:
            return
        self._stdin.feed(bytes(data))
        if not self._full and len(self._stdin) > STDIN_BYTES_HIGH:
            self._full = True
            self._sink.pause_input()

    def _drained(self) -> None:
        if self._full and self._stdin is not None and len(self._stdin) < STDIN_BYTES_LOW:
            self._full = False
            if self._sink is not None:
                self._sink.resume_input()

    def write_eof(self) -> None:
        if not self._tty:
            self._end_stdin()

    def _end_stdin(self) -> None:
        if self._stdin is not None:
            self._stdin.end()

    def pause_output(self) -> None:
        if self._flowing.is_set():
            self._flowing = trio.Event()

    def resume_output(self) -> None:
        if self._begun:
            self._flowing.set()

    def close(self) -> None:
        if self._sink is None:
            return
        self._sink = None
        self._flowing.set()
        self._end_stdin()  # StdinOnce, and an exec's stdin, end with their client
        self._closed(self)

    async def send(self, data: bytes, stderr: bool) -> None:
        """Output of the program, once the sink takes it."""
        await self._flowing.wait()
        if self._sink is not None:
            self._sink.output(data, stderr)

    async def finish(self) -> None:
        """The program has ended."""
        await self._flowing.wait()
        self.cut()

    def cut(self, error: str = "") -> None:
        """The connection is gone, paused or not. Who has not got the answer yet hears of it right behind the answer."""
        if not self._begun:
            self._cut = error
            return
        sink, self._sink = self._sink, None
        self._flowing.set()
        if sink is not None:
            sink.output_ended(error)


def hang_up(answer: object) -> None:
    """Nobody hears the answer: its connection is gone, and with it the stream that it might have been."""
    if isinstance(answer, FakeStream):
        answer.close()


class FakeRun:
    """One program and the streams on it: an exec, or a container's own."""

    def __init__(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        tty: bool,
        stdin: bool,
        is_first: bool,
        whim: Whim = "",
    ) -> None:
        self.argv = list(argv)
        self.tty = tty
        self.streams: list[FakeStream] = []
        self.started = False
        self.status: int | None = None
        self.oom = False
        self.ended = trio.Event()
        self.on_exit: Callable[[], None] = lambda: None
        self._is_first = is_first
        pipe = Pipe()
        if not stdin:
            pipe.end()
        self._stdin = pipe if stdin else None
        self._program: Program | FakeAgent
        if is_agent(argv):
            self._program = FakeAgent(argv, env, pipe, self._send, whim)
        else:
            self._program = Program(argv, env, tty, pipe, self._send)

    @property
    def running(self) -> bool:
        return self.started and self.status is None

    def attach(self, sink: Sink) -> FakeStream:
        stream = FakeStream(sink, self._stdin, self.tty, self.streams.remove)
        self.streams.append(stream)
        return stream

    def resize(self, size: Size) -> None:
        self._program.size = size

    def signal(self, number: int) -> None:
        self._program.signal(number, self._is_first)

    def kill(self, oom: bool = False) -> None:
        self.oom = self.oom or (oom and self.running)
        self._program.signal(SIGNALS["KILL"], self._is_first)
        for stream in self.streams:
            stream.resume_output()  # nobody is waited for any more

    def cut(self, error: str = "") -> None:
        """All connections to it break; it goes on."""
        streams, self.streams = self.streams, []
        for stream in streams:
            stream.cut(error)

    async def _send(self, data: bytes, stderr: bool) -> None:
        for stream in tuple(self.streams):
            await stream.send(data, stderr and not self.tty)

    async def run(self) -> None:
        """Run to the end: the last output, then the status, then the end of the streams."""
        status = await self._program.run()
        self.status = status
        self.ended.set()
        self.on_exit()
        streams, self.streams = self.streams, []
        for stream in streams:
            await stream.finish()


class FakeContainer:
    """A container, from its creation to its removal."""

    def __init__(self, container_id: str, order: ContainerOrder, run: FakeRun, labels: Mapping[str, str]) -> None:
        self.id = container_id
        self.order = order
        self.run = run
        self.labels = dict(labels)
        self.execs: dict[str, FakeExec] = {}
        self.files: dict[str, bytes] = {}

    def runs(self) -> list[FakeRun]:
        return [self.run, *(one.run for one in self.execs.values())]


class FakeExec:
    """An exec, from its creation to the removal of its container."""

    def __init__(self, container: FakeContainer, order: ExecOrder, run: FakeRun) -> None:
        self.container = container
        self.order = order
        self.run = run
