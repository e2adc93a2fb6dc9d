"""The agent's end of a link, written by the test frame by frame; and what a session and its pump would have seen."""

from actors.agent.link import Link
from actors.ports import ContainerOrder, SpawnOrder
from protocol.base import Event
from protocol.frame_types import AgentHello, Frame, Spawned
from protocol.frames import FrameDecoder, encode

TOKEN = "0123456789abcdef"
WINDOW = 1024 * 1024
ORDER = ContainerOrder(name="n", token="t", image="i")


class Session:
    """A sink and what is heard, as calls and events in their order."""

    def __init__(self) -> None:
        self.out = bytearray()
        self.err = bytearray()
        self.calls: list[object] = []

    def output(self, data: bytes, stderr: bool) -> None:
        (self.err if stderr else self.out).extend(data)

    def output_ended(self, error: str) -> None:
        self.calls.append(("output_ended", error))

    def pause_input(self) -> None:
        self.calls.append("pause_input")

    def resume_input(self) -> None:
        self.calls.append("resume_input")

    def hear(self, event: Event) -> None:
        self.calls.append(event)


class Peer:
    """Implements `link.Wire`: takes what the host sends, and says what the test wants said."""

    def __init__(self, beats: bool = False) -> None:
        self.link = Link(ORDER, TOKEN, beats)
        self.frames: list[Frame] = []  # from the host, as yet unread
        self.bytes = 0
        self.closed = False
        self.heard: list[Event] = []  # about the link
        self._decoder = FrameDecoder("host")
        self.link.report(self.heard.append)
        self.link.carry(self)

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.bytes += len(data)
        self.frames += self._decoder.feed(data)

    def close(self) -> None:
        self.closed = True

    def say(self, *frames: Frame) -> None:
        for frame in frames:
            self.link.feed(encode(frame))

    def greet(self, token: str = TOKEN, window: int = WINDOW) -> "Peer":
        self.say(AgentHello(window=window, channels_max=1024, token=token.encode()))
        return self

    def read(self) -> list[Frame]:
        frames, self.frames = self.frames, []
        return frames

    def spawn(self, tty: bool = False, started: bool = True) -> tuple["Session", object]:
        """A program, and what its session sees."""
        session = Session()
        served = self.link.spawn(SpawnOrder(argv=["/bin/prog"], tty=tty), session, session.hear)
        if started:
            self.say(Spawned(channel=served.channel, pid=7))
            session.calls.clear()
        self.read()
        return session, served

    @property
    def why(self) -> str:
        """Why the link ended."""
        return str(getattr(self.heard[-1], "why", "")) if self.heard else ""
