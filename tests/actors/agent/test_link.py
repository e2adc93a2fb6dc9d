"""The host's end of a link against a peer that says what the test wants: honest, clumsy and hostile."""

from typing import Any

import pytest

from actors.agent.link import SILENCE_MS, UNREAD_BYTES_MAX
from actors.agent.relayed import INPUT_BYTES_MAX, OUTPUT_BYTES_MAX, RETURN_BYTES
from actors.ports import SpawnOrder
from protocol.base import Size
from protocol.container import AgentGreeted, LinkLost
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
from protocol.frames import encode
from protocol.session import ProgramExited, ProgramSpawned, SpawnFailed
from tests.actors.agent.peer import TOKEN, Peer, Session

PIECE = b"x" * DATA_BYTES_MAX


def stdin_of(frames: list[Frame]) -> bytes:
    return b"".join(bytes(frame.piece) for frame in frames if isinstance(frame, Data))


def output(channel: int, size: int, stream: int = STDOUT) -> list[Frame]:
    """So many bytes, in frames as large as they may be."""
    sizes = [DATA_BYTES_MAX] * (size // DATA_BYTES_MAX) + ([size % DATA_BYTES_MAX] if size % DATA_BYTES_MAX else [])
    return [Data(channel=channel, stream=stream, piece=b"x" * one) for one in sizes]


# How it begins and ends.


def test_both_say_hello() -> None:
    peer = Peer()
    assert peer.read() == [HostHello(window=OUTPUT_BYTES_MAX, heartbeat_ms=0)]
    assert peer.heard == []
    peer.greet()
    assert peer.heard == [AgentGreeted()]


def test_an_attached_link_beats() -> None:
    peer = Peer(beats=True)
    assert peer.read() == [HostHello(window=OUTPUT_BYTES_MAX, heartbeat_ms=SILENCE_MS)]
    peer.link.beat()
    assert peer.read() == []  # it has not said hello yet
    peer.greet()
    peer.link.beat()
    assert [type(frame) for frame in peer.read()] == [Ping]
    peer.say(Pong(mark=bytes(8)))
    assert not peer.closed


@pytest.mark.parametrize("token", ["", TOKEN[:-1], TOKEN + "0", TOKEN.upper()])
def test_a_wrong_token_ends_it(token: str) -> None:
    peer = Peer()
    peer.say(AgentHello(window=1, channels_max=1, token=token.encode()))
    assert peer.closed
    assert peer.heard == [LinkLost(why="its agent does not know the token")]


def test_who_asks_late_hears_it_all() -> None:
    peer = Peer().greet()
    peer.link.lost("gone")
    heard: list[Any] = []
    peer.link.report(heard.append)
    assert heard == [AgentGreeted(), LinkLost(why="gone")]


def test_a_program_from_beginning_to_end() -> None:
    peer = Peer().greet()
    peer.read()
    session = Session()
    order = SpawnOrder(argv=["/bin/prog", "a\udcff"], env={"A": "b"})
    served = peer.link.spawn(order, session, session.hear)
    (spawn,) = peer.read()
    assert spawn == Spawn(channel=1, argv=(b"/bin/prog", b"a\xff"), env=(b"A=b",), inherit_env=True)
    peer.say(Spawned(channel=1, pid=42), Data(channel=1, stream=STDOUT, piece=b"out"))
    peer.say(Data(channel=1, stream=STDERR, piece=b"err"))
    served.write(b"in")
    served.write_eof()
    assert peer.read() == [
        Data(channel=1, stream=STDIN, piece=b"in"),
        EndOfFile(channel=1, stream=STDIN),
    ]
    peer.say(EndOfFile(channel=1, stream=STDOUT), EndOfFile(channel=1, stream=STDERR))
    peer.say(Exit(channel=1, how="status", number=3), Close(channel=1))
    assert (bytes(session.out), bytes(session.err)) == (b"out", b"err")
    assert session.calls == [ProgramSpawned(pid=42), ("output_ended", ""), ProgramExited(status=3)]
    served.close()
    served.signal("TERM")
    assert peer.read() == []  # the agent knows it no more
    assert not peer.closed


@pytest.mark.parametrize(
    ("how", "number", "told"),
    [
        ("status", 255, ProgramExited(status=255)),
        ("signal", 15, ProgramExited(signal="TERM")),
        ("signal_with_core", 11, ProgramExited(signal="SEGV", core=True)),
        ("signal", 31, ProgramExited(status=159)),  # SYS has no name in RFC 4254
        ("signal", 34, ProgramExited(status=162)),
    ],
)
def test_how_a_program_ended(how: str, number: int, told: ProgramExited) -> None:
    peer = Peer().greet()
    session, _ = peer.spawn()
    peer.say(Exit(channel=1, how=how, number=number))
    assert session.calls == [told]


@pytest.mark.parametrize(
    ("stage", "errno", "fault", "status", "why"),
    [
        ("exec", 2, "not_found", 127,
         "cannot run /bin/prog: it, or the interpreter that it names, is not in the image"),
        ("exec", 20, "not_found", 127, "cannot run /bin/prog: not a directory"),
        ("exec", 13, "denied", 126, "cannot run /bin/prog: permission denied"),
        ("exec", 8, "invalid", 126, "cannot run /bin/prog: exec format error"),
        ("exec", 7, "invalid", 126, "cannot run /bin/prog: argument list too long"),
        ("directory", 2, "not_found", 127, "cannot enter the working directory: no such file or directory"),
        ("directory", 13, "denied", 126, "cannot enter the working directory: permission denied"),
        ("user", 1, "denied", 125, "cannot become the user: operation not permitted"),
        ("terminal", 2, "not_found", 125, "cannot open a terminal: no such file or directory"),
        ("resources", 11, "unavailable", 125,
         "the container has no room for it (processes, memory or files): resource temporarily unavailable"),
        ("limit", 11, "unavailable", 125,
         "too many programs run in this container: resource temporarily unavailable"),
        ("protocol", 71, "unavailable", 125, "its agent refused the order: protocol error"),
    ],
)  # fmt: skip
def test_why_a_program_was_not_started(stage: str, errno: int, fault: Any, status: int, why: str) -> None:
    peer = Peer().greet()
    session, _ = peer.spawn(started=False)
    peer.say(Err(channel=1, stage=stage, errno=errno), Close(channel=1))
    assert session.calls == [SpawnFailed(fault=fault, why=why, status=status), ("output_ended", "")]
    assert not peer.closed


def test_what_no_frame_can_carry_is_refused_here() -> None:
    peer = Peer().greet()
    peer.read()
    session = Session()
    peer.link.spawn(SpawnOrder(argv=["/bin/prog", "a\0b"]), session, session.hear)
    assert [type(call) for call in session.calls] == [SpawnFailed]
    assert session.calls[0].status == 126  # type: ignore[attr-defined]
    assert peer.read() == []


def test_a_lost_link_ends_its_programs() -> None:
    peer = Peer().greet()
    first, _ = peer.spawn()
    second, _ = peer.spawn(started=False)
    peer.link.lost("")
    why = "the link to the container is lost: its connection ended"
    assert first.calls == [("output_ended", why)]
    assert second.calls == [("output_ended", why)]
    assert peer.heard[-1] == LinkLost(why="its connection ended")
    peer.link.lost("again")
    assert len(peer.heard) == 2
    late, served = Session(), None
    served = peer.link.spawn(SpawnOrder(argv=["x"]), late, late.hear)
    assert late.calls == [("output_ended", "the link to the container is lost: it is gone")]
    served.write(b"x")
    served.write_eof()
    served.signal("TERM")
    served.resize(Size(columns=1, rows=1))
    served.close()


def test_a_link_that_we_close_tells_nobody() -> None:
    peer = Peer().greet()
    closed: list[bool] = []
    peer.link.when_closed = lambda: closed.append(True)
    peer.link.close()
    peer.link.close()
    assert peer.closed and closed == [True]
    assert peer.heard == [AgentGreeted()]


def test_a_wire_that_comes_too_late_is_closed() -> None:
    peer = Peer()
    peer.link.close()
    peer.closed = False
    peer.link.carry(peer)
    assert peer.closed


# What is sent to a program.


def test_signals_sizes_and_terminals() -> None:
    peer = Peer().greet()
    peer.read()
    session = Session()
    modes = bytes([53, 0, 0, 0, 0, 1, 0, 0, 0, 3, 0, 99])
    order = SpawnOrder(argv=["x"], tty=True, size=Size(columns=80, rows=24), modes=modes)
    served = peer.link.spawn(order, session, session.hear)
    (spawn,) = peer.read()
    assert isinstance(spawn, Spawn) and spawn.terminal is not None
    assert (spawn.terminal.columns, spawn.terminal.rows) == (80, 24)
    assert list(spawn.terminal.modes) == [(53, 0), (1, 3)]
    served.signal("INT")
    served.resize(Size(columns=100, rows=50))
    served.write_eof()  # a terminal has none
    assert peer.read() == [Signal(channel=1, number=2), Resize(channel=1, columns=100, rows=50)]


def test_a_program_that_has_closed_its_output_is_still_signalled_and_fed() -> None:
    peer = Peer().greet()
    session, served = peer.spawn()
    peer.say(EndOfFile(channel=1, stream=STDOUT), EndOfFile(channel=1, stream=STDERR))
    assert session.calls == [("output_ended", "")]
    served.write(b"more")  # type: ignore[attr-defined]
    served.signal("TERM")  # type: ignore[attr-defined]
    served.write_eof()  # type: ignore[attr-defined]
    assert peer.read() == [
        Data(channel=1, stream=STDIN, piece=b"more"),
        Signal(channel=1, number=15),
        EndOfFile(channel=1, stream=STDIN),
    ]


@pytest.mark.parametrize("when", ["before", "running", "ended", "gone"])
def test_closing_in_any_state(when: str) -> None:
    peer = Peer().greet()
    session, served = peer.spawn(started=when != "before")
    outputs = [EndOfFile(channel=1, stream=STDOUT), EndOfFile(channel=1, stream=STDERR)]
    if when in ("ended", "gone"):
        peer.say(*outputs, Exit(channel=1, how="status", number=0))
    if when == "gone":
        peer.say(Close(channel=1))
    session.calls.clear()
    served.close()  # type: ignore[attr-defined]
    served.close()  # type: ignore[attr-defined]
    assert peer.read() == ([] if when == "gone" else [Close(channel=1)])
    rest: list[Frame] = [Spawned(channel=1, pid=1)] if when == "before" else []
    if when in ("before", "running"):
        rest += [*output(1, 100), *outputs, Exit(channel=1, how="signal", number=9)]
    if when != "gone":
        peer.say(*rest, Close(channel=1))
    assert session.calls == [] and not session.out and not peer.closed


# Credit and backpressure.


def test_output_is_given_back_as_credit_in_pieces() -> None:
    peer = Peer().greet()
    peer.spawn()
    peer.say(*output(1, RETURN_BYTES - 1))
    assert peer.read() == []
    peer.say(*output(1, 1))
    assert peer.read() == [Credit(channel=1, stream=STDOUT, bytes=RETURN_BYTES)]
    peer.say(*output(1, RETURN_BYTES, STDERR))
    assert peer.read() == [Credit(channel=1, stream=STDERR, bytes=RETURN_BYTES)]


def test_a_paused_sink_gives_no_credit_until_it_goes_on() -> None:
    peer = Peer().greet()
    session, served = peer.spawn()
    served.pause_output()  # type: ignore[attr-defined]
    peer.say(*output(1, OUTPUT_BYTES_MAX))
    assert peer.read() == [] and len(session.out) == OUTPUT_BYTES_MAX
    served.resume_output()  # type: ignore[attr-defined]
    assert peer.read() == [Credit(channel=1, stream=STDOUT, bytes=OUTPUT_BYTES_MAX)]
    assert not peer.closed


def test_more_output_than_its_credit_ends_the_link() -> None:
    peer = Peer().greet()
    session, served = peer.spawn()
    served.pause_output()  # type: ignore[attr-defined]
    peer.say(*output(1, OUTPUT_BYTES_MAX + 1))
    assert peer.closed and "more output on channel 1 than it may send" in peer.why
    assert len(session.out) <= OUTPUT_BYTES_MAX


def test_output_after_our_close_is_bounded_too() -> None:
    peer = Peer().greet()
    session, served = peer.spawn()
    served.close()  # type: ignore[attr-defined]
    peer.say(*output(1, OUTPUT_BYTES_MAX + 1))
    assert peer.closed and not session.out


def test_stdin_beyond_its_window_is_held_and_the_client_paused() -> None:
    peer = Peer().greet(window=100_000)
    session, served = peer.spawn()
    served.write(bytes(250_000))  # type: ignore[attr-defined]
    assert len(stdin_of(peer.read())) == 100_000
    assert session.calls == ["pause_input"]
    peer.say(Credit(channel=1, stream=STDIN, bytes=50_000))
    assert len(stdin_of(peer.read())) == 50_000
    assert session.calls == ["pause_input"]
    peer.say(Credit(channel=1, stream=STDIN, bytes=50_000))
    assert len(stdin_of(peer.read())) == 50_000
    assert session.calls == ["pause_input", "resume_input"]  # less is held than the low mark
    served.write_eof()  # type: ignore[attr-defined]
    assert peer.read() == []
    peer.say(Credit(channel=1, stream=STDIN, bytes=100_000))
    frames = peer.read()
    assert len(stdin_of(frames)) == 50_000 and frames[-1] == EndOfFile(channel=1, stream=STDIN)


def test_credit_beyond_the_window_ends_the_link() -> None:
    peer = Peer().greet(window=100_000)
    _, served = peer.spawn()
    served.write(bytes(10))  # type: ignore[attr-defined]
    peer.say(Credit(channel=1, stream=STDIN, bytes=11))
    assert peer.closed and "more credit on channel 1 than was used" in peer.why


def test_a_window_beyond_ours_is_not_used() -> None:
    peer = Peer().greet(window=16 * 1024 * 1024)
    _, served = peer.spawn()
    served.write(bytes(4 * 1024 * 1024))  # type: ignore[attr-defined]
    assert len(stdin_of(peer.read())) == INPUT_BYTES_MAX


def test_stdin_that_nobody_reads_is_thrown_away() -> None:
    peer = Peer().greet(window=10)
    session, served = peer.spawn()
    served.write(bytes(1000))  # type: ignore[attr-defined]
    peer.read()
    peer.say(EndOfFile(channel=1, stream=STDIN))
    assert session.calls == ["pause_input", "resume_input"]
    served.write(bytes(1000))  # type: ignore[attr-defined]
    served.write_eof()  # type: ignore[attr-defined]
    assert peer.read() == []


def test_a_full_wire_pauses_every_client_and_relieves_each_in_turn() -> None:
    peer = Peer().greet()
    sessions = [peer.spawn() for _ in range(3)]
    peer.link.choke()
    for session, served in sessions:
        served.write(b"wait")  # type: ignore[attr-defined]
        assert session.calls == ["pause_input"]
    assert peer.read() == []
    peer.link.relieve()
    first = [frame.channel for frame in peer.read()]
    assert sorted(first) == [1, 2, 3]
    assert all(session.calls == ["pause_input", "resume_input"] for session, _ in sessions)
    peer.link.choke()
    for _, served in sessions:
        served.write(b"wait")  # type: ignore[attr-defined]
    peer.link.relieve()
    assert peer.read()[0].channel != first[0]


def test_an_agent_that_does_not_read_is_left() -> None:
    """Its programs' input is paused; what else a client can have sent has an end too."""
    peer = Peer().greet()
    session, served = peer.spawn()
    peer.link.choke()
    sent = 0
    while not peer.closed:
        served.resize(Size(columns=80, rows=24))  # type: ignore[attr-defined]
        sent += 20
        assert sent <= UNREAD_BYTES_MAX + 20
    assert peer.why == "it does not read what it is sent"
    assert session.calls == [("output_ended", f"the link to the container is lost: {peer.why}")]


def test_frames_arrive_in_any_pieces() -> None:
    peer = Peer().greet()
    session, _ = peer.spawn()
    said = b"".join(map(encode, [*output(1, 5), EndOfFile(channel=1, stream=STDOUT)]))
    for nth in range(len(said)):
        peer.link.feed(said[nth : nth + 1])
    assert bytes(session.out) == b"x" * 5
