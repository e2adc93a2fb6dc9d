"""The C side of the framing, against the same golden files as the Python side, and against Python itself."""

import random
import subprocess
from collections.abc import Iterable
from pathlib import Path

from protocol.frames import FrameDecoder, FrameError
from tests.agent.golden import golden, text_of
from tests.agent.guest import SANITIZER

MUTANTS = 4000


def probe(sanitized: Path, frames: Iterable[bytes]) -> list[str]:
    """What frames.c says of each."""
    lines = "".join(f"{data.hex()}\n" for data in frames)
    command = [sanitized / "frames-probe"]
    done = subprocess.run(command, input=lines, capture_output=True, text=True, check=False, errors="surrogateescape")
    assert done.returncode == 0, done.stderr
    return done.stdout.split("\n")[:-1]


def test_it_reads_the_golden_frames(sanitized: Path) -> None:
    frames = golden("host")
    assert probe(sanitized, (data for _, data in frames)) == [text for text, _ in frames]


def test_it_refuses_what_no_host_may_send(sanitized: Path) -> None:
    frames = golden("host_bad")
    said = probe(sanitized, (data for _, data in frames))
    assert [why for (why, _), text in zip(frames, said, strict=True) if text != "BAD"] == []


def test_it_waits_for_the_rest(sanitized: Path) -> None:
    cut = [data[:length] for _, data in golden("host") for length in range(len(data))]
    assert set(probe(sanitized, cut)) == {"PARTIAL"}


def test_it_sends_the_golden_frames(sanitized: Path) -> None:
    command = [sanitized / "frames-probe", "emit"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=SANITIZER)
    assert done.stdout.split() == [data.hex() for _, data in golden("agent")]


def python_says(data: bytes) -> str:
    decoder = FrameDecoder("host")
    hello = golden("host")[0][1]
    if data[4:5] != b"\1":
        list(decoder.feed(hello))
    try:
        frames = list(decoder.feed(data))
        decoder.finish()
    except FrameError as error:
        return "PARTIAL" if "inside a frame" in str(error) else "BAD"
    return text_of(frames[0])


def essence(text: str) -> str:
    """Without what a SPAWN has no flag for: Python drops it when it reads, C when it uses."""
    return "SPAWN " + text.partition(" groups=")[2] if text.startswith("SPAWN") else text


def test_both_sides_agree_on_damaged_frames(sanitized: Path) -> None:
    """The same verdict and the same fields, for frames with one to three damaged bytes or a wrong end."""
    dice = random.Random(4254)
    good = [data for _, data in golden("host")]
    mutants: list[bytes] = []
    while len(mutants) < MUTANTS:
        data = bytearray(dice.choice(good))
        for _ in range(dice.randint(1, 3)):
            data[dice.randrange(len(data))] = dice.choice((0, 1, 127, 128, 255, dice.randrange(256)))
        cut = data[: dice.randrange(len(data))] if dice.random() < 0.1 else data
        if not cut or (len(cut) >= 12 and int.from_bytes(cut[:4], "little") < len(cut) - 12):
            continue  # two frames or more
        if all(byte < 128 for byte in cut[12:]) and b"\n" not in cut:
            mutants.append(bytes(cut))
    said = probe(sanitized, mutants)
    pairs = [(essence(text), essence(python_says(data))) for data, text in zip(mutants, said, strict=True)]
    wrong = [(data.hex(), c, python) for data, (c, python) in zip(mutants, pairs, strict=True) if c != python]
    assert wrong == []
    assert {text.split()[0] for text in said} >= {"BAD", "PARTIAL", "SPAWN", "DATA", "SIGNAL"}
