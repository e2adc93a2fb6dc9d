"""A hostile guest: what it may say ends its own link, and nothing else comes of it."""

import pytest

from protocol.container import LinkLost
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
    Spawned,
)
from protocol.frames import encode
from tests.actors.agent.peer import TOKEN, Peer

OUT_OF_TURN: dict[str, list[Frame]] = {
    "a program that was not asked for": [Spawned(channel=9, pid=1)],
    "output of no program": [Data(channel=9, stream=STDOUT, piece=b"x")],
    "the end of no program": [Exit(channel=9, how="status", number=0)],
    "a close of no program": [Close(channel=9)],
    "output before it is started": [Data(channel=2, stream=STDOUT, piece=b"x")],
    "an end before it is started": [Exit(channel=2, how="status", number=0)],
    "credit before it is started": [Credit(channel=2, stream=STDIN, bytes=1)],
    "a close before it is started": [Close(channel=2)],
    "started twice": [Spawned(channel=1, pid=1)],
    "failed after it was started": [Err(channel=1, stage="exec", errno=2)],
    "failed twice": [Err(channel=2, stage="exec", errno=2)] * 2,
    "started after it failed": [Err(channel=2, stage="exec", errno=2), Spawned(channel=2, pid=1)],
    "ended twice": [Exit(channel=1, how="status", number=0)] * 2,
    "an output that ends twice": [EndOfFile(channel=1, stream=STDOUT)] * 2,
    "an input that ends twice": [EndOfFile(channel=1, stream=STDIN)] * 2,
    "output after its end": [EndOfFile(channel=1, stream=STDOUT), Data(channel=1, stream=STDOUT, piece=b"x")],
    "error output at a terminal": [Data(channel=3, stream=STDERR, piece=b"x")],
    "a close before the outputs ended": [Exit(channel=1, how="status", number=0), Close(channel=1)],
    "a close before the end": [
        EndOfFile(channel=1, stream=STDOUT), EndOfFile(channel=1, stream=STDERR), Close(channel=1),
    ],
    "hello twice": [AgentHello(window=1, channels_max=1, token=TOKEN.encode())],
}  # fmt: skip


@pytest.mark.parametrize("frames", OUT_OF_TURN.values(), ids=OUT_OF_TURN)
def test_frames_out_of_turn_end_the_link(frames: list[Frame]) -> None:
    peer = Peer().greet()
    sessions = [peer.spawn()[0], peer.spawn(started=False)[0], peer.spawn(tty=True)[0]]
    peer.say(*frames)
    assert peer.closed and peer.why.startswith("it broke the rules: ")
    for session in sessions:
        events = [type(call) for call in session.calls if not isinstance(call, (str, tuple))]
        assert len(events) == len(set(events)), "a session hears each kind of event once at most"


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n\r\n", bytes(64), b"\xff" * 64, b"no link to the host\n"])
def test_garbage_ends_the_link(data: bytes) -> None:
    peer = Peer()
    peer.link.feed(data)
    assert peer.closed and peer.why.startswith("it broke the rules: ")
    peer.link.feed(data)  # nobody listens any more


@pytest.mark.parametrize("cut", range(1, 12 + 12 + len(TOKEN)))
def test_half_a_hello_and_then_gone(cut: int) -> None:
    peer = Peer()
    hello = encode(AgentHello(window=1, channels_max=1, token=TOKEN.encode()))
    peer.link.feed(hello[:cut])
    peer.link.lost("")
    assert peer.heard == [LinkLost(why="its connection ended")]


def test_an_agent_that_gives_up_says_why() -> None:
    peer = Peer().greet()
    peer.say(Err(channel=0, stage="protocol", errno=71))
    assert peer.closed and peer.why == "the agent gave up (Protocol error)"
