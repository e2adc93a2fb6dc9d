"""What strangers write and we read: each target takes any bytes, and may raise nothing but what it is said to raise.

A target returns normally when the bytes were read or properly refused, and fails an assertion when what it read does
not hold together.
"""

from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from actors.ports import OutsideFault
from actors.web.client import Response
from moorage import config
from moorage.config import load_text
from protocol.frame_types import Data, Frame
from protocol.frames import FrameDecoder, FrameError, Sender
from protocol.key_options import read_line, wanted_lines
from protocol.ledger import Unreadable, read, write
from protocol.settings_problem import SettingsError
from protocol.stdcopy import StdcopyError, StdcopyParser
from protocol.webhook import AuthResponse, decode
from tests.agent.golden import golden

HOME = Path(__file__).resolve().parents[2]
TEXT_BYTES_MAX = 20_000  # what a reader of YAML takes a second for says nothing more than what it takes a moment for
CUTS = (1, 7, 4096)


class Target(Struct, frozen=True):
    """`seeds` are good ones, to be bent."""

    run: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]


def settings(data: bytes) -> None:
    """The loader: settings, or sentences that can be printed."""
    try:
        reading = load_text(Path("moorage.yaml"), data[:TEXT_BYTES_MAX])
    except (SettingsError, config.Unreadable) as error:
        assert str(error).encode()
    else:
        assert all(str(warning).encode() for warning in reading.warnings)


def ledger(data: bytes) -> None:
    """A scenario, damaged or whole, or `Unreadable`. What is whole is written again byte for byte."""
    try:
        scenario = read(data)
    except Unreadable as error:
        assert str(error)
        return
    if scenario.end is not None and not scenario.damage:
        again = read(write(scenario.header, scenario.lines, scenario.end.why))
        assert (again.header, again.lines, again.damage) == (scenario.header, scenario.lines, ())


def frames(sender: Sender) -> Callable[[bytes], None]:
    """Frames or `FrameError`, and the same ones however the bytes are cut."""

    def one(data: bytes) -> None:
        found = [_frames(sender, data, cut) for cut in (len(data) or 1, *CUTS)]
        assert all(other == found[0] for other in found[1:])

    return one


def _frames(sender: Sender, data: bytes, cut: int) -> tuple[list[object], str]:
    """What they say, with neighbouring pieces of one stream put together, and how it ended."""
    decoder, said, why = FrameDecoder(sender), list[object](), ""
    try:
        for at in range(0, len(data), cut):
            for frame in decoder.feed(data[at : at + cut]):
                _note(said, frame)
        decoder.finish()
    except FrameError as error:
        why = str(error)
        assert why
    return said, why


def _note(said: list[object], frame: Frame) -> None:
    if not isinstance(frame, Data):
        said.append(frame)
        return
    last = said[-1] if said else None
    if isinstance(last, tuple) and last[:2] == (frame.channel, frame.stream):
        said[-1] = (*last[:2], last[2] + bytes(frame.piece))
    else:
        said.append((frame.channel, frame.stream, bytes(frame.piece)))


def stdcopy(data: bytes) -> None:
    """Pieces or `StdcopyError`, and the same bytes however they are cut."""
    found = []
    for cut in (len(data) or 1, *CUTS):
        parser, streams, why = StdcopyParser(), dict.fromkeys(range(4), b""), ""
        try:
            for at in range(0, len(data), cut):
                for stream, piece in parser.feed(data[at : at + cut]):
                    streams[stream] += piece
            parser.finish()
        except StdcopyError as error:
            why = str(error)
        found.append((streams, why))
    assert all(other == found[0] for other in found[1:])


def webhook(data: bytes) -> None:
    """An answer of a web service or of an identity provider, or the error that stands for one."""
    try:
        answer = decode(AuthResponse, data)
    except ValueError as error:
        assert str(error)
    else:
        assert isinstance(answer.success, bool)
    try:
        tree = Response(200, data).json()
    except OutsideFault as fault:
        assert fault.why
    else:
        assert isinstance(tree, dict)


def key_lines(data: bytes) -> None:
    """authorized_keys: each line is read or refused with a sentence."""
    for _, line in wanted_lines(data.decode("utf-8", "replace")):
        try:
            read_line(line)
        except ValueError as error:
            assert str(error)


def _config_files() -> list[bytes]:
    folder = HOME / "config"
    return [path.read_bytes() for path in (folder / "moorage.yaml", *sorted((folder / "examples").iterdir()))]


def _scenarios() -> list[bytes]:
    found = sorted((HOME / "scenarios").glob("*.jsonl"), key=lambda path: path.stat().st_size)
    return [path.read_bytes() for path in found[:20]]


def _stream() -> list[bytes]:
    pieces = [bytes([stream, 0, 0, 0]) + len(text).to_bytes(4, "big") + text for stream in range(4)
              for text in (b"", b"a", b"hello world" * 20)]  # fmt: skip
    return [b"".join(pieces), *pieces]


def _answers() -> list[bytes]:
    return [
        b'{"success":true,"authenticatedUsername":"ann","metadata":{"a":{"value":"b","sensitive":true}},'
        b'"environment":{"LANG":{"value":"C"}},"files":{"/a":{"value":"aGVsbG8="}}}',
        b'{"success":false}',
    ]


def _key_lines() -> list[bytes]:
    return [
        b'from="10.0.0.0/8,!10.1.2.3",command="echo \\"hi\\"",environment="A=b",no-pty,restrict,pty ssh-ed25519 AAAA x',
        b'cert-authority,principals="ann,bob",expiry-time="20261231235959Z" ssh-rsa AAAAB3 c\n# no\n\nssh-rsa AAAA',
    ]


def _golden(*names: str) -> list[bytes]:
    each = [[data for _, data in golden(name)] for name in names]
    return [b"".join(frames) for frames in each] + [data for frames in each for data in frames]


TARGETS = {
    "settings": Target(settings, _config_files),
    "ledger": Target(ledger, _scenarios),
    "frames of the agent": Target(frames("agent"), lambda: _golden("agent")),
    "frames of the host": Target(frames("host"), lambda: _golden("host", "host_bad")),
    "stdcopy": Target(stdcopy, _stream),
    "webhook": Target(webhook, _answers),
    "key lines": Target(key_lines, _key_lines),
}
