"""The golden frames of agent/golden/, and the text in which both sides say what a frame holds."""

from pathlib import Path

from protocol import frame_types as t
from protocol.frame_types import Frame, Resize, Spawn, SpawnUser, Terminal

FOLDER = Path(__file__).parent.parent.parent / "agent" / "golden"


def golden(name: str) -> list[tuple[str, bytes]]:
    """Text and bytes of each line."""
    lines = (line.split("\t") for line in (FOLDER / f"{name}.txt").read_text().splitlines())
    return [(text, bytes.fromhex(data)) for text, data in lines]


def text_of(frame: Frame) -> str:
    match frame:
        case t.AgentHello():
            fields = {"window": frame.window, "channels_max": frame.channels_max, "token": frame.token.hex()}
        case t.HostHello():
            fields = {"window": frame.window, "heartbeat_ms": frame.heartbeat_ms}
        case t.Ping() | t.Pong():
            fields = {"mark": frame.mark.hex()}
        case Spawn():
            fields = _spawn_fields(frame)
        case t.Data():
            fields = {"stream": frame.stream, "bytes": bytes(frame.piece).hex()}
        case Resize():
            fields = _size_fields(frame)
        case _:
            fields = {name: getattr(frame, name) for name in frame.__struct_fields__ if name != "channel"}
    name = {"AgentHello": "HELLO", "HostHello": "HELLO", "EndOfFile": "EOF"}.get(type(frame).__name__)
    said = " ".join(f"{key}={value}" for key, value in {"channel": frame.channel, **fields}.items())
    return f"{name or type(frame).__name__.upper()} {said}"


def _size_fields(size: Resize | Terminal) -> dict[str, object]:
    return {"rows": size.rows, "columns": size.columns, "x": size.x_pixels, "y": size.y_pixels}


def _spawn_fields(spawn: Spawn) -> dict[str, object]:
    terminal = spawn.terminal or Terminal(rows=0, columns=0)
    user = spawn.user or SpawnUser(uid=0, gid=0)
    return {
        "flags": bool(spawn.terminal) + 2 * bool(spawn.user) + 4 * spawn.inherit_env + 8 * spawn.slave_given,
        **_size_fields(terminal),
        "uid": user.uid,
        "gid": user.gid,
        "groups": ",".join(map(str, user.groups)),
        "modes": ",".join(f"{op}:{value}" for op, value in terminal.modes),
        "directory": spawn.directory.decode(),
        "program": spawn.program.decode(),
        "argv": b",".join(spawn.argv).decode(),
        "env": b",".join(spawn.env).decode(),
    }
