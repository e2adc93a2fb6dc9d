"""Hostile frames against the sanitized agent: damaged, cut, repeated, out of order. It ends in order or goes on."""

import os
import pty
import random
from collections.abc import Callable

import pytest

from protocol.frame_types import (
    STDIN,
    STDOUT,
    Close,
    Credit,
    Data,
    EndOfFile,
    Frame,
    HostHello,
    Ping,
    Resize,
    Signal,
    Spawn,
    Terminal,
)
from protocol.frames import FrameError, encode
from tests.agent.guest import Ended, Guest

TERMINAL = Terminal(rows=2, columns=3, modes=((1, 2), (53, 0)))


def any_frame(dice: random.Random) -> Frame:
    channel = dice.choice((1, 2, 3, 2**32 - 1))
    argv = dice.choice(((b"/bin/true",), (b"/bin/cat",), (b"/bin/sh", b"-c", b"echo hi; exit 3"), (b"nope",)))
    terminal = dice.choice((None, TERMINAL))
    return dice.choice(
        (
            Ping(mark=b"12345678"),
            Spawn(
                channel=channel + dice.randrange(2) * dice.randrange(90) - 99 * (channel > 99),
                argv=argv,
                terminal=terminal,
                slave_given=terminal is not None and dice.random() < 0.5,
            ),
            Data(channel=channel, stream=STDIN, piece=dice.randbytes(dice.choice((1, 100, 65536)))),
            EndOfFile(channel=channel, stream=dice.choice((STDIN, STDIN, STDOUT))),
            Credit(channel=channel, stream=STDOUT, bytes=dice.choice((1, 65536, 1 << 24))),
            Resize(channel=channel, rows=dice.randrange(65536), columns=1),
            Signal(channel=channel, number=dice.choice((1, 2, 9, 15, 18, 64))),
            Close(channel=channel),
        )
    )


def damaged(dice: random.Random, data: bytes) -> bytes:
    out = bytearray(data)
    for _ in range(dice.choice((0, 0, 0, 1, 1, 3))):
        at = dice.randrange(min(len(out), 80))
        out[at] = dice.choice((0, 1, 255, dice.randrange(256)))
    return bytes(out[: dice.randrange(len(out))] if dice.random() < 0.05 else out)


def attack(guest: Guest, seed: int) -> None:
    dice = random.Random(seed)
    master, slave = pty.openpty()
    guest.send(HostHello(window=dice.choice((1, 1000, 1 << 20))))
    try:
        for _ in range(dice.randrange(1, 25)):
            frame = any_frame(dice)
            given = dice.random() < (0.9 if isinstance(frame, Spawn) and frame.slave_given else 0.02)
            guest.send_bytes(damaged(dice, encode(frame)), *([slave] * given))
        guest._socket.settimeout(0.02)
        while True:
            guest.take(lambda frame: False)
    except (TimeoutError, Ended, BrokenPipeError, ConnectionResetError):
        pass
    finally:
        os.close(master)
        os.close(slave)
    assert guest.hang_up() in (0, 5), guest.said()


@pytest.mark.parametrize("block", range(4))
def test_hostile_hosts(boot: Callable[..., Guest], block: int) -> None:
    for seed in range(block * 25, block * 25 + 25):
        attack(boot(attached=bool(seed % 2)), seed)


@pytest.mark.slow
def test_many_hostile_hosts(boot: Callable[..., Guest]) -> None:
    for seed in range(1000, 3000):
        attack(boot(attached=bool(seed % 2)), seed)


def test_the_fuzzer_sends_real_frames() -> None:
    dice, sent = random.Random(1), 0
    for _ in range(200):
        try:
            sent += len(encode(any_frame(dice))) > 0
        except FrameError:
            continue
    assert sent > 100
